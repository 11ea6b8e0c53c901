/* Metal's math, integer, relational and geometric functions, and its numeric macros. Included by msl.h.
 * One overload per element type, so that arguments of mixed types are ambiguous as they are in Metal. half goes
 * through float and is rounded once. */
#pragma once

#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define MAXFLOAT 0x1.fffffep127f
#define FLT_MAX 0x1.fffffep127f
#define FLT_MIN 0x1p-126f
#define FLT_EPSILON 0x1p-23f
#define MAXHALF ((half)65504.0f)
#define HALF_MAX ((half)65504.0f)
#define M_E_F 2.71828182845904523536f
#define M_LOG2E_F 1.44269504088896340736f
#define M_LN2_F 0.693147180559945309417f
#define M_PI_F 3.14159265358979323846f
#define M_PI_2_F 1.57079632679489661923f
#define M_1_PI_F 0.318309886183790671538f
#define M_2_SQRTPI_F 1.12837916709551257390f
#define M_SQRT2_F 1.41421356237309504880f
#define M_SQRT1_2_F 0.707106781186547524401f
#define INT_MAX 2147483647
#define INT_MIN (-2147483647 - 1)
#define UINT_MAX 4294967295u
#define SHRT_MAX 32767
#define USHRT_MAX 65535
#define UCHAR_MAX 255
#define CHAR_BIT 8

namespace metal {
#define EACH for (int i = 0; i < N; i++)
#define FN1(name, T, W, e)                                                                                                         \
    inline T name(T a) { W x = a; return (T)(e); }                                                                                 \
    template <int N> inline vec<T, N> name(vec<T, N> a) { vec<T, N> r; EACH r[i] = name((T)a[i]); return r; }
#define FN2(name, T, W, e)                                                                                                         \
    inline T name(T a, T b) { W x = a, y = b; return (T)(e); }                                                                     \
    template <int N> inline vec<T, N> name(vec<T, N> a, vec<T, N> b) { vec<T, N> r; EACH r[i] = name((T)a[i], (T)b[i]); return r; } \
    template <int N> inline vec<T, N> name(vec<T, N> a, T b) { vec<T, N> r; EACH r[i] = name((T)a[i], b); return r; }               \
    template <int N> inline vec<T, N> name(T a, vec<T, N> b) { vec<T, N> r; EACH r[i] = name(a, (T)b[i]); return r; }
#define FN3(name, T, W, e)                                                                                                         \
    inline T name(T a, T b, T c) { W x = a, y = b, z = c; return (T)(e); }                                                         \
    template <int N> inline vec<T, N> name(vec<T, N> a, vec<T, N> b, vec<T, N> c) { vec<T, N> r; EACH r[i] = name((T)a[i], (T)b[i], (T)c[i]); return r; } \
    template <int N> inline vec<T, N> name(vec<T, N> a, T b, T c) { vec<T, N> r; EACH r[i] = name((T)a[i], b, c); return r; }       \
    template <int N> inline vec<T, N> name(vec<T, N> a, vec<T, N> b, T c) { vec<T, N> r; EACH r[i] = name((T)a[i], (T)b[i], c); return r; }

#define MATH(T)                                                                                                                    \
    FN1(acos, T, float, __builtin_acosf(x)) FN1(asin, T, float, __builtin_asinf(x)) FN1(atan, T, float, __builtin_atanf(x))         \
    FN1(ceil, T, float, __builtin_ceilf(x)) FN1(floor, T, float, __builtin_floorf(x)) FN1(trunc, T, float, __builtin_truncf(x))     \
    FN1(rint, T, float, __builtin_rintf(x)) FN1(round, T, float, __builtin_roundf(x)) FN1(fabs, T, float, __builtin_fabsf(x))       \
    FN1(cos, T, float, __builtin_cosf(x)) FN1(sin, T, float, __builtin_sinf(x)) FN1(tan, T, float, __builtin_tanf(x))               \
    FN1(cosh, T, float, __builtin_coshf(x)) FN1(sinh, T, float, __builtin_sinhf(x)) FN1(tanh, T, float, __builtin_tanhf(x))         \
    FN1(exp, T, float, __builtin_expf(x)) FN1(exp2, T, float, __builtin_exp2f(x)) FN1(exp10, T, float, __builtin_exp10f(x))         \
    FN1(log, T, float, __builtin_logf(x)) FN1(log2, T, float, __builtin_log2f(x)) FN1(log10, T, float, __builtin_log10f(x))         \
    FN1(sqrt, T, float, __builtin_sqrtf(x)) FN1(rsqrt, T, float, 1.0f / __builtin_sqrtf(x))                                         \
    FN1(saturate, T, float, x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x) FN1(sign, T, float, x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x)      \
    FN1(fract, T, float, __builtin_fminf(x - __builtin_floorf(x), 0x1.fffffep-1f))                                                  \
    FN2(atan2, T, float, __builtin_atan2f(x, y)) FN2(copysign, T, float, __builtin_copysignf(x, y)) FN2(divide, T, float, x / y)    \
    FN2(fmax, T, float, __builtin_fmaxf(x, y)) FN2(fmin, T, float, __builtin_fminf(x, y)) FN2(fmod, T, float, __builtin_fmodf(x, y)) \
    FN2(pow, T, float, __builtin_powf(x, y)) FN2(powr, T, float, __builtin_powf(x, y)) FN2(step, T, float, y < x ? 0.0f : 1.0f)     \
    FN3(mix, T, T, x + (y - x) * z)

#define ORDER(T)                                                                                                                   \
    FN2(max, T, T, x < y ? y : x) FN2(min, T, T, y < x ? y : x) FN3(clamp, T, T, x < y ? y : z < x ? z : x)                         \
    FN3(max3, T, T, x < y ? (y < z ? z : y) : (x < z ? z : x)) FN3(min3, T, T, y < x ? (z < y ? z : y) : (z < x ? z : x))

#define INTEGER(T, U, bits)                                                                                                        \
    FN1(popcount, T, U, __builtin_popcountll((ulong)x)) FN1(clz, T, U, x == 0 ? bits : __builtin_clzll((ulong)x) - (64 - bits))     \
    FN1(ctz, T, U, x == 0 ? bits : __builtin_ctzll((ulong)x))                                                                      \
    FN2(absdiff, T, T, x < y ? (U)y - (U)x : (U)x - (U)y)                                                                          \
    FN2(rotate, T, U, (U)(x << (y % bits)) | (U)(x >> ((bits - y % bits) % bits)))                                                 \
    inline T extract_bits(T x, uint offset, uint n) { return n == 0 ? T(0) : T(T((U)x << (bits - offset - n)) >> (bits - n)); }
#define INTEGERS(X)                                                                                                                \
    X(char, uchar, 8) X(uchar, uchar, 8) X(short, ushort, 16) X(ushort, ushort, 16) X(int, uint, 32) X(uint, uint, 32)              \
    X(long, ulong, 64) X(ulong, ulong, 64)
#define ORDERED(T, U, bits) ORDER(T)
#define ABSOLUTE(T, U, bits) FN1(abs, T, T, x < T(0) ? T(-x) : x)

MATH(half)
MATH(float)
FN3(fma, float, float, __builtin_fmaf(x, y, z))
/* The product of two halves and its sum with a third are exact in double, which then rounds once. */
FN3(fma, half, double, x * y + z)
ORDER(half)
ORDER(float)
ORDER(bfloat)
INTEGERS(ORDERED)
INTEGERS(INTEGER)
INTEGERS(ABSOLUTE)
ABSOLUTE(half, half, 16)
ABSOLUTE(float, float, 32)
FN2(mulhi, int, long, (x * y) >> 32)
FN2(mulhi, uint, ulong, (x * y) >> 32)
FN2(mul24, int, int, x * y)
FN2(mul24, uint, uint, x * y)
FN3(mad24, int, int, x * y + z)
FN3(mad24, uint, uint, x * y + z)

#define REAL(T)                                                                                                                    \
    inline bool isnan(T x) { return __builtin_isnan((float)x); }                                                                   \
    inline bool isinf(T x) { return __builtin_isinf((float)x); }                                                                   \
    inline bool isfinite(T x) { return __builtin_isfinite((float)x); }                                                             \
    inline bool signbit(T x) { return __builtin_signbit((float)x); }                                                               \
    inline T sincos(T x, T &c) { c = cos(x); return sin(x); }                                                                      \
    inline T ldexp(T x, int e) { return (T)__builtin_ldexpf((float)x, e); }                                                        \
    template <int N> inline T dot(vec<T, N> a, vec<T, N> b) { T r = a[0] * b[0]; for (int i = 1; i < N; i++) r += a[i] * b[i]; return r; } \
    template <int N> inline T length_squared(vec<T, N> a) { return dot(a, a); }                                                    \
    template <int N> inline T length(vec<T, N> a) { return sqrt(dot(a, a)); }                                                      \
    template <int N> inline T distance(vec<T, N> a, vec<T, N> b) { return length(a - b); }                                         \
    template <int N> inline vec<T, N> normalize(vec<T, N> a) { return a * rsqrt(dot(a, a)); }
REAL(half)
REAL(float)

#define SAME_FLOAT(X) X(exp) X(exp2) X(exp10) X(log) X(log2) X(log10) X(sin) X(cos) X(tan) X(sinh) X(cosh) X(tanh) X(asin) X(acos) \
    X(atan) X(atan2) X(sqrt) X(rsqrt) X(pow) X(powr) X(divide) X(fabs) X(abs) X(floor) X(ceil) X(rint) X(round) X(trunc) X(fract)    \
    X(fmod) X(fmax) X(fmin) X(max) X(min) X(clamp) X(fma) X(sign) X(saturate) X(mix) X(sincos)
#define TO_METAL(name)                                                                                                             \
    template <typename... A> inline auto name(float a, A &&...b) -> decltype(metal::name(a, b...)) { return metal::name(a, b...); }  \
    template <int N, typename... A> inline auto name(vec<float, N> a, A &&...b) -> decltype(metal::name(a, b...)) { return metal::name(a, b...); }
namespace precise { SAME_FLOAT(TO_METAL) }
namespace fast { SAME_FLOAT(TO_METAL) }

/* A comparison of vectors gives a vector of 0 and -1. */
template <typename T, int N> inline bool any(vec<T, N> x) { bool r = false; EACH r |= x[i] != 0; return r; }
template <typename T, int N> inline bool all(vec<T, N> x) { bool r = true; EACH r &= x[i] != 0; return r; }
inline bool any(bool x) { return x; }
inline bool all(bool x) { return x; }
template <typename T, typename soft::enable<soft::shape<T>::n == 0, int>::type = 0> inline T select(T a, T b, bool c) { return c ? b : a; }
template <typename T, int N, typename M> inline vec<T, N> select(vec<T, N> a, vec<T, N> b, vec<M, N> c) { vec<T, N> r; EACH r[i] = c[i] ? b[i] : a[i]; return r; }
template <typename T, int N> inline vec<T, N> select(vec<T, N> a, vec<T, N> b, bool c) { return c ? b : a; }

#undef EACH
#undef FN1
#undef FN2
#undef FN3
#undef MATH
#undef ORDER
#undef ORDERED
#undef INTEGER
#undef INTEGERS
#undef ABSOLUTE
#undef REAL
#undef SAME_FLOAT
#undef TO_METAL

template <typename A, typename B> struct is_same { static constexpr bool value = soft::same<A, B>::value; };
template <bool B, typename T = void> using enable_if_t = typename soft::enable<B, T>::type;
template <bool C, typename A, typename B> struct conditional { typedef A type; };
template <typename A, typename B> struct conditional<false, A, B> { typedef B type; };
template <bool C, typename A, typename B> using conditional_t = typename conditional<C, A, B>::type;
} // namespace metal
