/* The Metal Shading Language on the CPU: what a .metal file sees when clang-19 compiles it as C++14.
 *
 * tools/scan_kernels.c rewrites a file (attributes, function constants, threadgroup variables, vector constructors and
 * casts) and includes this header before it. Address spaces are clang's OpenCL ones, which C++ checks as
 * Metal does while pointers stay plain addresses. Everything that a kernel may call is listed: what is not here does
 * not compile. No header of the C library is included, so nothing leaks in.
 *
 * Numbers: safe math. No contraction (a * b + c rounds twice, fma once), no reassociation, infinities and NaN are
 * honoured, denormals are kept. half is rounded after each operation. Functions are the C library's float functions; fast::
 * and precise:: are the same. simd reductions add lanes i and i + 16, then i + 8, 4, 2, 1; prefix sums go lane by
 * lane. Simdgroup matrix products are k-ascending chains of float fma, rounded once to the type of the result.
 *
 * Not in the subset: bool vectors, packed_T3 (a struct could not be read through a device pointer), methods on and copies
 * of structs in device or constant memory, thread_elements(), quad_ functions, textures. */
#pragma once
#include "runtime/soft/lane.h"
#include "runtime/soft/exec.h"

#pragma clang diagnostic ignored "-Wunused-function"

#define device __attribute__((opencl_global))
#define constant const __attribute__((opencl_constant))
#define threadgroup __attribute__((opencl_local))
#define thread
#define METAL_FUNC inline __attribute__((always_inline))

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef _Float16 half;
typedef __bf16 bfloat;

/* ---- vectors and matrices */
namespace metal {
template <typename T, int N> using vec = T __attribute__((ext_vector_type(N)));
}
/* T is a scalar here: packed vectors of 2 and 4 are vectors with the alignment of their elements. */
#define SOFT_VECTORS(T)                                                                                                            \
    typedef T T##2 __attribute__((ext_vector_type(2)));                                                                            \
    typedef T T##3 __attribute__((ext_vector_type(3)));                                                                            \
    typedef T T##4 __attribute__((ext_vector_type(4)));                                                                            \
    typedef T packed_##T##2 __attribute__((ext_vector_type(2), aligned(__alignof__(T))));                                          \
    typedef T packed_##T##4 __attribute__((ext_vector_type(4), aligned(__alignof__(T))));
SOFT_VECTORS(char)
SOFT_VECTORS(uchar)
SOFT_VECTORS(short)
SOFT_VECTORS(ushort)
SOFT_VECTORS(int)
SOFT_VECTORS(uint)
SOFT_VECTORS(long)
SOFT_VECTORS(ulong)
SOFT_VECTORS(half)
SOFT_VECTORS(bfloat)
SOFT_VECTORS(float)
#undef SOFT_VECTORS

namespace soft {
template <bool B, typename T = void> struct enable {};
template <typename T> struct enable<true, T> { typedef T type; };
template <typename A, typename B> struct same { static constexpr bool value = false; };
template <typename A> struct same<A, A> { static constexpr bool value = true; };

/* element type, and count (0 for what is not a vector) */
template <typename T> struct shape { typedef T type; static constexpr int n = 0; };
template <typename T, int N> struct shape<T __attribute__((ext_vector_type(N)))> { typedef T type; static constexpr int n = N; };
template <typename T> using elem = typename shape<T>::type;

template <typename T> struct real { static constexpr bool value = false; };
template <> struct real<half> { static constexpr bool value = true; };
template <> struct real<bfloat> { static constexpr bool value = true; };
template <> struct real<float> { static constexpr bool value = true; };
template <typename T> struct integer { static constexpr bool value = false; };
template <> struct integer<bool> { static constexpr bool value = true; };
template <> struct integer<char> { static constexpr bool value = true; };
template <> struct integer<uchar> { static constexpr bool value = true; };
template <> struct integer<signed char> { static constexpr bool value = true; };
template <> struct integer<short> { static constexpr bool value = true; };
template <> struct integer<ushort> { static constexpr bool value = true; };
template <> struct integer<int> { static constexpr bool value = true; };
template <> struct integer<uint> { static constexpr bool value = true; };
template <> struct integer<long> { static constexpr bool value = true; };
template <> struct integer<ulong> { static constexpr bool value = true; };

/* D(x): conversion by value, scalar to vector, vector to vector of the same length. */
template <typename D, typename S, bool DV = (shape<D>::n > 0), bool SV = (shape<S>::n > 0)> struct convert {
    static constexpr D of(S s) { return (D)s; }
};
template <typename D, typename S> struct convert<D, S, true, false> {
    static constexpr D of(S s) { return (D)(elem<D>)s; }
};
template <typename D, typename S> struct convert<D, S, true, true> {
    static_assert(int(shape<D>::n) == int(shape<S>::n), "conversion between vectors of different length");
    static constexpr D of(S s) { return __builtin_convertvector(s, D); }
};
template <typename D, typename S> struct convert<D, S, false, true> {
    static_assert(sizeof(D) == 0, "a vector does not convert to a scalar");
};

template <typename T> constexpr int count_of() { return shape<T>::n ? shape<T>::n : 1; }
template <typename D, typename S, typename enable<shape<S>::n == 0, int>::type = 0> inline void put(D &d, int &i, S s) {
    d[i++] = (elem<D>)s;
}
template <typename D, typename S, typename enable<(shape<S>::n > 0), int>::type = 0> inline void put(D &d, int &i, S s) {
    for (int j = 0; j < shape<S>::n; j++) d[i++] = (elem<D>)s[j];
}
template <typename D> inline void place(D &, int &) {}
template <typename D, typename H, typename... A> inline void place(D &d, int &i, H h, A... a) {
    put(d, i, h);
    place(d, i, a...);
}
constexpr int sum_of() { return 0; }
template <typename... A> constexpr int sum_of(int h, A... a) { return h + sum_of(a...); }

/* D(a...) for any type: components into a vector, the language's own construction otherwise. */
template <typename D, bool vector, bool scalars> struct maker {
    template <typename... A> static constexpr D of(A... a) { return D(a...); }
};
template <typename D> struct maker<D, true, true> {
    template <typename... A> static constexpr D of(A... a) {
        static_assert(sizeof...(A) == shape<D>::n, "wrong number of components for this vector");
        return D{(elem<D>)a...};
    }
};
template <typename D> struct maker<D, true, false> {
    template <typename... A> static D of(A... a) {
        static_assert(sum_of(count_of<A>()...) == shape<D>::n, "wrong number of components for this vector");
        D d;
        int i = 0;
        place(d, i, a...);
        return d;
    }
};
template <typename D> constexpr D make() { return D(); }
template <typename D, typename S> constexpr D make(S s) { return convert<D, S>::of(s); }
template <typename D, typename A, typename B, typename... R> constexpr D make(A a, B b, R... r) {
    return maker<D, (shape<D>::n > 0), sum_of(shape<A>::n, shape<B>::n, shape<R>::n...) == 0>::of(a, b, r...);
}

/* (D)x, spelt caster<D>() ->* x by the scanner: ->* binds as tightly as the rewriting needs. */
template <typename D> struct caster {};
template <typename D, typename S> constexpr D operator->*(caster<D>, S s) { return convert<D, S>::of(s); }
} // namespace soft

namespace metal {
template <typename T, int C, int R = C> struct matrix {
    vec<T, R> columns[C];
    matrix() = default;
    explicit matrix(T diagonal) {
        for (int c = 0; c < C; c++) {
            columns[c] = T(0);
            if (c < R) columns[c][c] = diagonal;
        }
    }
    vec<T, R> &operator[](int i) { return columns[i]; }
    const vec<T, R> &operator[](int i) const { return columns[i]; }
};
} // namespace metal
#define SOFT_MATRICES(T)                                                                                                           \
    typedef metal::matrix<T, 2, 2> T##2x2;                                                                                         \
    typedef metal::matrix<T, 2, 4> T##2x4;                                                                                         \
    typedef metal::matrix<T, 3, 3> T##3x3;                                                                                         \
    typedef metal::matrix<T, 4, 2> T##4x2;                                                                                         \
    typedef metal::matrix<T, 4, 4> T##4x4;
SOFT_MATRICES(half)
SOFT_MATRICES(bfloat)
SOFT_MATRICES(float)
#undef SOFT_MATRICES

template <typename D, typename S> constexpr D as_type(S s) {
    static_assert(sizeof(D) == sizeof(S), "as_type between types of different size");
    return __builtin_bit_cast(D, s);
}

#include "runtime/soft/msl_math.h"
#include "runtime/soft/msl_simd.h"
#include "runtime/soft/msl_kernel.h"

/* Metal has no double. */
#define double metal_has_no_double
