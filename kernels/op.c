#include "kernels/op.h"

#include "kernels/cpu_ops.h"
#include "runtime/metal.h"

uint64_t op_bytes(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    uint64_t r;
    if (__builtin_mul_overflow(a, b, &r) || __builtin_mul_overflow(r, c, &r) || __builtin_mul_overflow(r, d, &r))
        return UINT64_MAX;
    return r;
}

int op_cpu(struct cmd *c, const char *op, const struct cpu_ops **ops, struct err *e) {
    struct device *d = cmd_device(c);
    if (device_kind(d) != DEVICE_CPU)
        return err_set(e, ERR_UNSUPPORTED, "%s: no kernel for %s; use --device cpu", op, device_describe(d));
    *ops = cpu_ops(cpu_isa_of(d));
    return ERR_OK;
}

static int check_operand(const char *op, const struct operand *v, struct err *e) {
    struct ref r = v->ref;
    if (!r.buf) return v->optional ? ERR_OK : err_set(e, ERR_ARG, "%s: operand %s is missing", op, v->name);
    if (r.off % 4) return err_set(e, ERR_ARG, "%s: %s is at byte %llu, not a multiple of 4", op, v->name,
                                  (unsigned long long)r.off);
    if (r.off > r.buf->size_bytes || v->bytes > r.buf->size_bytes - r.off)
        return err_set(e, ERR_ARG, "%s: %s needs %llu bytes at %llu, its buffer has %llu", op, v->name,
                       (unsigned long long)v->bytes, (unsigned long long)r.off,
                       (unsigned long long)r.buf->size_bytes);
    return ERR_OK;
}

int op_check(const char *op, const struct operand *v, uint32_t n, struct err *e) {
    for (uint32_t i = 0; i < n; i++) {
        int rc = check_operand(op, &v[i], e);
        if (rc) return rc;
    }
    return ERR_OK;
}

int op_encode_cpu(struct cmd *c, const char *op, cpu_fn *fn, uint32_t n_item, uint32_t grain, const void *args,
                  size_t args_bytes, const struct operand *v, uint32_t n, struct err *e) {
    CHECK(n <= CPU_MAX_BIND);
    int rc = op_check(op, v, n, e);
    if (rc) return rc;
    struct ref bind[CPU_MAX_BIND];
    for (uint32_t i = 0; i < n; i++) bind[i] = v[i].ref;
    cpu_encode(c, fn, n_item, grain, args, args_bytes, bind, n);
    return ERR_OK;
}

int op_encode_metal(struct cmd *c, const char *op, const struct mtl_call *call, const struct operand *v, uint32_t n,
                    struct err *e) {
    CHECK(n <= MTL_MAX_BIND);
    int rc = op_check(op, v, n, e);
    if (rc) return rc;
    struct ref bind[MTL_MAX_BIND];
    for (uint32_t i = 0; i < n; i++) bind[i] = v[i].ref;
    struct mtl_call bound = *call;
    bound.bind = bind;
    bound.n_bind = n;
    return mtl_encode(c, &bound, e);
}
