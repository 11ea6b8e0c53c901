/* setjmp.h as far as hy uses it. */
#pragma once
typedef int jmp_buf[48];
int setjmp(jmp_buf env);
void longjmp(jmp_buf env, int value) __attribute__((noreturn));
