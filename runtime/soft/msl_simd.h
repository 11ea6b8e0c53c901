/* What the threads of a group do together: barriers, simd functions, simdgroup matrices, atomics. Included by msl.h. */
#pragma once

namespace soft {
/* The call's place in the source, as a default argument. Its type keeps callers from passing one by accident. */
struct where {
    const char *file;
    unsigned line, column;
    static constexpr where here(const char *f = __builtin_FILE(), unsigned l = __builtin_LINE(), unsigned c = __builtin_COLUMN()) {
        return where{f, l, c};
    }
    soft_site site(const char *what) const { return soft_site{file, what, line, column}; }
};
#define SOFT_HERE soft::where w = soft::where::here()

template <typename T> struct simd_type {
    typedef elem<T> E;
    static constexpr bool integer = soft::integer<E>::value && sizeof(E) <= 4 && !same<E, bool>::value;
    static constexpr bool any = integer || real<E>::value;
};
template <typename T> using simd_any = typename enable<simd_type<T>::any, T>::type;
template <typename T> using simd_int = typename enable<simd_type<T>::integer, T>::type;

/* Every lane brings x; the last to come makes something of all of them with hold(values, n_lane). */
template <typename T, typename Hold> inline __attribute__((always_inline)) const T *meet(T x, soft_site site, Hold hold) {
    static_assert(sizeof(T) <= SOFT_LANE_BYTES, "value too large for a simd operation");
    soft_lane *l = soft_self;
    soft_simd *s = l->simd;
    T *values = (T *)s->slot[s->generation & 1];
    values[l->lane] = x;
    if (soft_arrive(l, site)) {
        hold(values, s->n_lane);
        soft_held(s);
    } else {
        soft_resume(l, l->next);
    }
    return values;
}

/* The reduction tree: lane i takes lane i + 16, then 8, 4, 2, 1; absent lanes of a short simdgroup are left out. */
template <typename T, typename Op> inline __attribute__((always_inline)) T reduce(T x, soft_site site, Op op) {
    return meet(x, site, [op](T *v, unsigned n) {
        for (unsigned w = 16; w; w /= 2)
            for (unsigned i = 0; i < w; i++)
                if (i + w < n) v[i] = op(v[i], v[i + w]);
    })[0];
}

template <typename T, typename Op> inline T prefix(T x, T first, bool inclusive, soft_site site, Op op) {
    unsigned lane = soft_self->lane;
    return meet(x, site, [op, first, inclusive](T *v, unsigned n) {
        T sum = first;
        for (unsigned i = 0; i < n; i++) {
            T before = sum;
            sum = op(sum, v[i]);
            v[i] = inclusive ? sum : before;
        }
    })[lane];
}

struct nothing { template <typename T> void operator()(T *, unsigned) const {} };

template <typename T> inline __attribute__((always_inline)) T from_lane(T x, unsigned lane, soft_site site) {
    const T *v = meet(x, site, nothing());
    if (__builtin_expect(lane >= soft_self->simd->n_lane, 0)) soft_bad_lane(soft_self, lane, site);
    return v[lane];
}
} // namespace soft

namespace metal {
enum class mem_flags { mem_none = 0, mem_device = 1, mem_threadgroup = 2 };
constexpr mem_flags operator|(mem_flags a, mem_flags b) { return mem_flags(int(a) | int(b)); }

inline __attribute__((always_inline)) void threadgroup_barrier(mem_flags f, SOFT_HERE) {
    soft_lane *l = soft_self;
    soft_site site = w.site("threadgroup_barrier");
    if (soft_arrive(l, site)) {
        soft_context *to = soft_group_arrive(l, site, uint(f));
        if (to) soft_switch(&l->at, to);
    } else {
        soft_resume(l, l->next);
    }
}

inline __attribute__((always_inline)) void simdgroup_barrier(mem_flags f, SOFT_HERE) {
    soft_lane *l = soft_self;
    soft_simd *s = l->simd;
    if (soft_arrive(l, w.site("simdgroup_barrier"))) {
        s->epoch[0] += (uint(f) & 2) != 0;
        s->epoch[1] += uint(f) & 1;
        soft_held(s);
    } else {
        soft_resume(l, l->next);
    }
}

#define SOFT_REDUCE(name, type, e)                                                                                                 \
    template <typename T> inline soft::type<T> name(T x, SOFT_HERE) {                                                              \
        return soft::reduce(x, w.site(#name), [](T a, T b) { return (T)(e); });                                                    \
    }
SOFT_REDUCE(simd_sum, simd_any, a + b)
SOFT_REDUCE(simd_product, simd_any, a * b)
SOFT_REDUCE(simd_max, simd_any, metal::max(a, b))
SOFT_REDUCE(simd_min, simd_any, metal::min(a, b))
SOFT_REDUCE(simd_and, simd_int, a & b)
SOFT_REDUCE(simd_or, simd_int, a | b)
SOFT_REDUCE(simd_xor, simd_int, a ^ b)
#undef SOFT_REDUCE

#define SOFT_PREFIX(name, first, inclusive, e)                                                                                     \
    template <typename T> inline soft::simd_any<T> name(T x, SOFT_HERE) {                                                          \
        return soft::prefix(x, soft::convert<T, int>::of(first), inclusive, w.site(#name), [](T a, T b) { return (T)(e); });       \
    }
SOFT_PREFIX(simd_prefix_inclusive_sum, 0, true, a + b)
SOFT_PREFIX(simd_prefix_exclusive_sum, 0, false, a + b)
SOFT_PREFIX(simd_prefix_inclusive_product, 1, true, a * b)
SOFT_PREFIX(simd_prefix_exclusive_product, 1, false, a * b)
#undef SOFT_PREFIX

template <typename T> inline soft::simd_any<T> simd_broadcast(T x, ushort lane, SOFT_HERE) {
    return soft::from_lane(x, lane, w.site("simd_broadcast"));
}
template <typename T> inline soft::simd_any<T> simd_broadcast_first(T x, SOFT_HERE) {
    return soft::from_lane(x, 0, w.site("simd_broadcast_first"));
}
template <typename T> inline soft::simd_any<T> simd_shuffle(T x, ushort lane, SOFT_HERE) {
    return soft::from_lane(x, lane, w.site("simd_shuffle"));
}
template <typename T> inline soft::simd_any<T> simd_shuffle_xor(T x, ushort mask, SOFT_HERE) {
    return soft::from_lane(x, soft_self->lane ^ mask, w.site("simd_shuffle_xor"));
}
/* Lanes at the edge keep their own value. */
template <typename T> inline soft::simd_any<T> simd_shuffle_up(T x, ushort delta, SOFT_HERE) {
    unsigned lane = soft_self->lane;
    return soft::from_lane(x, lane >= delta ? lane - delta : lane, w.site("simd_shuffle_up"));
}
template <typename T> inline soft::simd_any<T> simd_shuffle_down(T x, ushort delta, SOFT_HERE) {
    unsigned lane = soft_self->lane + delta;
    return soft::from_lane(x, lane < soft_self->simd->n_lane ? lane : soft_self->lane, w.site("simd_shuffle_down"));
}
template <typename T> inline soft::simd_any<T> simd_shuffle_and_fill_up(T x, T fill, ushort delta, SOFT_HERE) {
    unsigned lane = soft_self->lane;
    T v = soft::from_lane(x, lane >= delta ? lane - delta : lane, w.site("simd_shuffle_and_fill_up"));
    return lane >= delta ? v : fill;
}
template <typename T> inline soft::simd_any<T> simd_shuffle_and_fill_down(T x, T fill, ushort delta, SOFT_HERE) {
    unsigned lane = soft_self->lane + delta;
    bool in = lane < soft_self->simd->n_lane;
    T v = soft::from_lane(x, in ? lane : soft_self->lane, w.site("simd_shuffle_and_fill_down"));
    return in ? v : fill;
}

struct simd_vote {
    typedef ulong vote_t;
    vote_t bits;
    explicit constexpr simd_vote(vote_t v = 0) : bits(v) {}
    explicit constexpr operator vote_t() const { return bits; }
    bool any() const { return bits != 0; }
};
inline simd_vote simd_ballot(bool b, SOFT_HERE) {
    uint bit = b ? 1u << soft_self->lane : 0u;
    return simd_vote(soft::reduce(bit, w.site("simd_ballot"), [](uint x, uint y) { return x | y; }));
}
inline bool simd_any(bool b, SOFT_HERE) {
    return soft::reduce(uint(b), w.site("simd_any"), [](uint x, uint y) { return x | y; }) != 0;
}
inline bool simd_all(bool b, SOFT_HERE) {
    return soft::reduce(uint(b), w.site("simd_all"), [](uint x, uint y) { return x & y; }) != 0;
}

/* ---- simdgroup matrices: the simdgroup's leader holds all 64 elements, the other lanes hold nothing and skip. No meeting:
 * which lane leads changes with the order of threads, so a missing barrier still shows. */
template <typename T, int C, int R> struct simdgroup_matrix {
    static_assert(C == 8 && R == 8 && soft::real<T>::value, "simdgroup_matrix is 8x8 of half, bfloat or float");
    T e[64];
    simdgroup_matrix() {}
    explicit simdgroup_matrix(T diagonal, SOFT_HERE);
};
} // namespace metal

namespace soft {
inline __attribute__((always_inline)) bool leads(where w) {
    soft_lane *l = soft_self;
    l->trail = (l->trail ^ (w.line * 1024 + w.column)) * 0x9e3779b1u;
    return l->lane == l->simd->leader;
}
typedef float row8 __attribute__((ext_vector_type(8)));
template <typename T> using rows = T __attribute__((ext_vector_type(8)));
template <typename T> inline rows<T> row(const T *e) {
    rows<T> r;
    __builtin_memcpy(&r, e, sizeof r);
    return r;
}
template <typename D, typename A, typename B, typename C> inline void product(D *d, const A *a, const B *b, const C *c) {
    row8 br[8], out[8];
    for (int k = 0; k < 8; k++) br[k] = __builtin_convertvector(row(b + 8 * k), row8);
    for (int i = 0; i < 8; i++) {
        out[i] = c ? __builtin_convertvector(row(c + 8 * i), row8) : row8(0.0f);
        for (int k = 0; k < 8; k++) out[i] = __builtin_elementwise_fma(row8((float)a[8 * i + k]), br[k], out[i]);
    }
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) d[8 * i + j] = (D)out[i][j];
}
} // namespace soft

namespace metal {
template <typename T, int C, int R> simdgroup_matrix<T, C, R>::simdgroup_matrix(T diagonal, soft::where w) {
    if (soft::leads(w))
        for (int i = 0; i < 64; i++) e[i] = i % 9 == 0 ? diagonal : T(0.0f);
}
typedef simdgroup_matrix<half, 8, 8> simdgroup_half8x8;
typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;
typedef simdgroup_matrix<bfloat, 8, 8> simdgroup_bfloat8x8;

template <typename T, int C, int R = C> inline simdgroup_matrix<T, C, R> make_filled_simdgroup_matrix(T v, SOFT_HERE) {
    simdgroup_matrix<T, C, R> m;
    if (soft::leads(w))
        for (int i = 0; i < 64; i++) m.e[i] = v;
    return m;
}
#define SOFT_MATRIX_MEMORY(space)                                                                                                  \
    template <typename T>                                                                                                          \
    inline void simdgroup_load(simdgroup_matrix<T, 8, 8> &d, const space T *src, ulong stride = 8, ulong2 origin = ulong2(0),      \
                               bool transpose = false, SOFT_HERE) {                                                                \
        if (!soft::leads(w)) return;                                                                                               \
        src += origin.y * stride + origin.x;                                                                                       \
        for (ulong i = 0; i < 8; i++)                                                                                              \
            for (ulong j = 0; j < 8; j++) d.e[8 * i + j] = transpose ? src[j * stride + i] : src[i * stride + j];                  \
    }                                                                                                                              \
    template <typename T>                                                                                                          \
    inline void simdgroup_store(const simdgroup_matrix<T, 8, 8> &a, space T *dst, ulong stride = 8, ulong2 origin = ulong2(0),     \
                                bool transpose = false, SOFT_HERE) {                                                               \
        if (!soft::leads(w)) return;                                                                                               \
        dst += origin.y * stride + origin.x;                                                                                       \
        for (ulong i = 0; i < 8; i++)                                                                                              \
            for (ulong j = 0; j < 8; j++) *(transpose ? dst + j * stride + i : dst + i * stride + j) = a.e[8 * i + j];             \
    }
SOFT_MATRIX_MEMORY(device)
SOFT_MATRIX_MEMORY(threadgroup)
#undef SOFT_MATRIX_MEMORY

template <typename D, typename A, typename B, typename C>
inline void simdgroup_multiply_accumulate(simdgroup_matrix<D, 8, 8> &d, const simdgroup_matrix<A, 8, 8> &a,
                                          const simdgroup_matrix<B, 8, 8> &b, const simdgroup_matrix<C, 8, 8> &c, SOFT_HERE) {
    if (soft::leads(w)) soft::product(d.e, a.e, b.e, c.e);
}
template <typename D, typename A, typename B>
inline void simdgroup_multiply(simdgroup_matrix<D, 8, 8> &d, const simdgroup_matrix<A, 8, 8> &a, const simdgroup_matrix<B, 8, 8> &b,
                               SOFT_HERE) {
    if (soft::leads(w)) soft::product(d.e, a.e, b.e, (const D *)nullptr);
}

/* ---- atomics */
enum memory_order { memory_order_relaxed };
template <typename T> struct atomic { T v; };
#ifdef SOFT_RACE
extern "C" void soft_race_atomic(const volatile void *p, size_t bytes);
#define SOFT_ATOMIC_PTR(T, o) (soft_race_atomic((const volatile void *)&(o)->v, sizeof(T)), (volatile T *)&(o)->v)
#else
#define SOFT_ATOMIC_PTR(T, o) ((volatile T *)&(o)->v)
#endif
#define SOFT_ATOMIC(space, T)                                                                                                      \
    inline T atomic_load_explicit(const volatile space atomic<T> *o, memory_order) { return __atomic_load_n(SOFT_ATOMIC_PTR(T, o), __ATOMIC_RELAXED); } \
    inline void atomic_store_explicit(volatile space atomic<T> *o, T x, memory_order) { __atomic_store_n(SOFT_ATOMIC_PTR(T, o), x, __ATOMIC_RELAXED); } \
    inline T atomic_exchange_explicit(volatile space atomic<T> *o, T x, memory_order) { return __atomic_exchange_n(SOFT_ATOMIC_PTR(T, o), x, __ATOMIC_RELAXED); } \
    inline bool atomic_compare_exchange_weak_explicit(volatile space atomic<T> *o, T *e, T x, memory_order, memory_order) {         \
        return __atomic_compare_exchange_n(SOFT_ATOMIC_PTR(T, o), e, x, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED);                  \
    }
#define SOFT_ATOMIC_FETCH(space, T, op)                                                                                            \
    inline T atomic_fetch_##op##_explicit(volatile space atomic<T> *o, T x, memory_order) { return __atomic_fetch_##op(SOFT_ATOMIC_PTR(T, o), x, __ATOMIC_RELAXED); }
#define SOFT_ATOMIC_ALL(space, T)                                                                                                  \
    SOFT_ATOMIC(space, T) SOFT_ATOMIC_FETCH(space, T, add) SOFT_ATOMIC_FETCH(space, T, sub) SOFT_ATOMIC_FETCH(space, T, max)        \
    SOFT_ATOMIC_FETCH(space, T, min) SOFT_ATOMIC_FETCH(space, T, and) SOFT_ATOMIC_FETCH(space, T, or) SOFT_ATOMIC_FETCH(space, T, xor)
SOFT_ATOMIC_ALL(device, int)
SOFT_ATOMIC_ALL(device, uint)
SOFT_ATOMIC_ALL(threadgroup, int)
SOFT_ATOMIC_ALL(threadgroup, uint)
#undef SOFT_ATOMIC
#undef SOFT_ATOMIC_FETCH
#undef SOFT_ATOMIC_ALL
#undef SOFT_ATOMIC_PTR
} // namespace metal
typedef metal::atomic<int> atomic_int;
typedef metal::atomic<uint> atomic_uint;
