#pragma once
#define INFINITY __builtin_inff()
#define HUGE_VAL __builtin_huge_val()
#define HUGE_VALF __builtin_huge_valf()
#define NAN __builtin_nanf("0")
#define M_PI 3.14159265358979323846
#define M_SQRT1_2 0.707106781186547524401
#define isnan(x) __builtin_isnan(x)
#define isinf(x) __builtin_isinf_sign(x)
#define isfinite(x) __builtin_isfinite(x)
#define signbit(x) __builtin_signbit(x)
#define MATH1(name) double name(double); float name##f(float);
#define MATH2(name) double name(double, double); float name##f(float, float);
MATH1(sqrt) MATH1(exp) MATH1(exp2) MATH1(expm1) MATH1(log) MATH1(log2) MATH1(log10) MATH1(log1p) MATH1(sin) MATH1(cos)
MATH1(tan) MATH1(atan) MATH1(sinh) MATH1(cosh) MATH1(tanh) MATH1(erf) MATH1(fabs) MATH1(floor) MATH1(ceil) MATH1(round)
MATH1(trunc) MATH1(rint) MATH1(nearbyint) MATH1(cbrt) MATH2(pow) MATH2(fmod) MATH2(atan2) MATH2(fmin) MATH2(fmax)
MATH2(copysign) MATH2(hypot) MATH2(nextafter)
double ldexp(double, int);
float ldexpf(float, int);
double frexp(double, int *);
float frexpf(float, int *);
double fma(double, double, double);
float fmaf(float, float, float);
long lround(double);
long lroundf(float);
long lrint(double);
long lrintf(float);
