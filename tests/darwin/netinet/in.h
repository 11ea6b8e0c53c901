#pragma once
#include <sys/socket.h>
struct in_addr { uint32_t s_addr; };
struct in6_addr { union { uint8_t u8[16]; uint32_t u32[4]; } in6; };
#define s6_addr in6.u8
struct sockaddr_in { uint8_t sin_len; sa_family_t sin_family; uint16_t sin_port; struct in_addr sin_addr; char sin_zero[8]; };
struct sockaddr_in6 { uint8_t sin6_len; sa_family_t sin6_family; uint16_t sin6_port; uint32_t sin6_flowinfo; struct in6_addr sin6_addr; uint32_t sin6_scope_id; };
#define ntohl(x) __builtin_bswap32(x)
#define IN6_WORDS(a) (a)->in6.u32
#define IN6_IS_ADDR_UNSPECIFIED(a) (!IN6_WORDS(a)[0] && !IN6_WORDS(a)[1] && !IN6_WORDS(a)[2] && !IN6_WORDS(a)[3])
#define IN6_IS_ADDR_LOOPBACK(a) (!IN6_WORDS(a)[0] && !IN6_WORDS(a)[1] && !IN6_WORDS(a)[2] && IN6_WORDS(a)[3] == ntohl(1u))
#define IN6_IS_ADDR_V4MAPPED(a) (!IN6_WORDS(a)[0] && !IN6_WORDS(a)[1] && IN6_WORDS(a)[2] == ntohl(0xffffu))
