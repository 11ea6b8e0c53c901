/* Between the executor and a kernel: how arguments, threadgroup variables and positions reach it, and how its argument types
 * become the table that the host side checks against. Included by msl.h, used by what the scanner writes. */
#pragma once

namespace soft {
/* ---- parameter types of a kernel */
template <unsigned I, typename... P> struct nth;
template <unsigned I, typename H, typename... P> struct nth<I, H, P...> { typedef typename nth<I - 1, P...>::type type; };
template <typename H, typename... P> struct nth<0, H, P...> { typedef H type; };
template <typename F> struct params;
template <typename... P> struct params<void (*)(P...)> {
    static constexpr unsigned n = sizeof...(P);
    template <unsigned I> using at = typename nth<I, P...>::type;
};

template <typename T> struct size_of { static constexpr uint32_t size = sizeof(T), align = alignof(T); };
template <> struct size_of<void> { static constexpr uint32_t size = 0, align = 0; };
template <> struct size_of<const void> { static constexpr uint32_t size = 0, align = 0; };
template <typename T> struct is_const { static constexpr bool value = false; };
template <typename T> struct is_const<const T> { static constexpr bool value = true; };

/* What a [[buffer(i)]] or [[threadgroup(i)]] parameter may be: a pointer or reference into one of three spaces. */
template <typename P> struct memory { static_assert(sizeof(P) == 0, "a kernel argument must point into device, constant or threadgroup memory"); };
#define SOFT_MEMORY(attribute, number, constness, read, mark, ref)                                                                 \
    template <typename T> struct memory<constness T __attribute__((attribute)) mark> {                                             \
        static constexpr uint8_t space = number, read_only = read, reference = ref;                                                \
        typedef T type;                                                                                                            \
        static T __attribute__((attribute)) constness *cast(void *p) { return (T __attribute__((attribute)) constness *)p; }       \
    };
SOFT_MEMORY(opencl_global, SOFT_DEVICE, , 0, *, 0)
SOFT_MEMORY(opencl_global, SOFT_DEVICE, , 0, &, 1)
SOFT_MEMORY(opencl_global, SOFT_DEVICE, const, 1, *, 0)
SOFT_MEMORY(opencl_global, SOFT_DEVICE, const, 1, &, 1)
SOFT_MEMORY(opencl_constant, SOFT_CONSTANT, const, 1, *, 0)
SOFT_MEMORY(opencl_constant, SOFT_CONSTANT, const, 1, &, 1)
SOFT_MEMORY(opencl_local, SOFT_THREADGROUP, , 0, *, 0)
SOFT_MEMORY(opencl_local, SOFT_THREADGROUP, const, 1, *, 0)
#undef SOFT_MEMORY

template <typename P> constexpr soft_slot slot(uint8_t index, const char *name) {
    return soft_slot{memory<P>::space, index, memory<P>::read_only, memory<P>::reference,
                     size_of<typename memory<P>::type>::size, size_of<typename memory<P>::type>::align, name};
}
template <typename P> struct pass { static P of(void *p) { return memory<P>::cast(p); } };
template <typename T> struct pass<T &> { static T &of(void *p) { return *memory<T &>::cast(p); } };

template <typename P> inline P buffer(const soft_lane *l, unsigned i) {
    static_assert(memory<P>::space != SOFT_THREADGROUP, "a threadgroup pointer takes [[threadgroup(i)]]");
    return pass<P>::of(l->group->dispatch->buf[i]);
}
template <typename P> inline P threadgroup_argument(const soft_lane *l, unsigned i) {
    static_assert(memory<P>::space == SOFT_THREADGROUP, "[[threadgroup(i)]] takes a threadgroup pointer");
    return pass<P>::of(l->group->tg_argument[i]);
}

/* ---- positions: ushort or uint, scalar or of 2 or 3 */
template <typename P> struct position {
    static_assert(same<elem<P>, uint>::value || same<elem<P>, ushort>::value, "positions are ushort or uint");
    static P of(const uint32_t *v) {
        P p;
        for (int i = 0; i < shape<P>::n; i++) p[i] = (elem<P>)v[i];
        return p;
    }
};
template <> struct position<uint> { static uint of(const uint32_t *v) { return v[0]; } };
template <> struct position<ushort> { static ushort of(const uint32_t *v) { return (ushort)v[0]; } };

#define SOFT_VECTOR(name, source) template <typename P> inline P name(const soft_lane *l) { return position<P>::of(source); }
SOFT_VECTOR(thread_position_in_threadgroup, l->position)
SOFT_VECTOR(threadgroup_position_in_grid, l->group->position)
SOFT_VECTOR(threads_per_threadgroup, l->group->size)
SOFT_VECTOR(dispatch_threads_per_threadgroup, l->group->full_size)
SOFT_VECTOR(threadgroups_per_grid, l->group->groups)
SOFT_VECTOR(threads_per_grid, l->group->grid)
#undef SOFT_VECTOR
template <typename P> inline P thread_position_in_grid(const soft_lane *l) {
    uint32_t at[3];
    for (int i = 0; i < 3; i++) at[i] = l->group->position[i] * l->group->full_size[i] + l->position[i];
    return position<P>::of(at);
}
#define SOFT_SCALAR(name, source)                                                                                                  \
    template <typename P> inline P name(const soft_lane *l) {                                                                      \
        static_assert(same<P, uint>::value || same<P, ushort>::value, #name " is ushort or uint");                                 \
        return (P)(source);                                                                                                        \
    }
SOFT_SCALAR(thread_index_in_threadgroup, l->index)
SOFT_SCALAR(thread_index_in_simdgroup, l->lane)
SOFT_SCALAR(simdgroup_index_in_threadgroup, l->simd->index)
SOFT_SCALAR(simdgroups_per_threadgroup, l->group->n_simd)
SOFT_SCALAR(threads_per_simdgroup, SOFT_SIMD_WIDTH)
#undef SOFT_SCALAR

/* ---- threadgroup variables: memory is taken when the first thread comes by; their sizes are summed before main(). */
template <typename F, F kernel> struct declared {
    static uint32_t bytes;
    static uint32_t get() { return bytes; }
};
template <typename F, F kernel> uint32_t declared<F, kernel>::bytes = 0;
template <typename T, unsigned ID, typename F, F kernel> struct declaration {
    static char counted;
    static char count() { return declared<F, kernel>::bytes += (sizeof(T) + 15) / 16 * 16, 1; }
};
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wglobal-constructors" /* an error elsewhere: a constant computed from function constants */
template <typename T, unsigned ID, typename F, F kernel> char declaration<T, ID, F, kernel>::counted = count();
#pragma clang diagnostic pop

template <typename T, unsigned ID, typename F, F kernel> inline threadgroup T &variable(SOFT_HERE) {
    static_assert(ID < SOFT_N_TG_VARIABLE, "too many threadgroup variables in one kernel");
    soft_group *g = soft_self->group;
    void *p = g->tg_variable[ID];
    if (!p) p = soft_tg_variable(g, ID, sizeof(T), alignof(T), w.site(""));
    (void)*(volatile char *)&declaration<T, ID, F, kernel>::counted;
    return *(threadgroup T *)p;
}
} // namespace soft
