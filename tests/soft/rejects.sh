#!/bin/sh
# What soft Metal's compile step must refuse, because Apple's compiler would: sh tests/soft/rejects.sh SCANNER CLANG FLAGS...
# Each line of the list is one kernel body, or with a leading @ a whole file.
set -u
scan=$1 clang=$2
shift 2
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
head='kernel void k(device float *x [[buffer(0)]], device const float *c [[buffer(1)]], constant s &a [[buffer(2)]], device s *sp [[buffer(3)]], uint i [[thread_position_in_grid]]) {'

compiles() {
    printf '#include <metal_stdlib>\nusing namespace metal;\nstruct s { float a; int b[3]; };\n%s\n' "$1" >"$dir/t.metal"
    shift
    "$scan" text "$dir/t.metal" "$dir/t.msl" &&
        "$clang" -E -x c++ -std=c++14 -nostdinc -undef -I runtime/soft/msl -D__METAL_VERSION__=310 "$dir/t.msl" -o "$dir/t.mi" &&
        "$scan" soft t.metal "$dir/t.mi" "$dir/t.msl" "$dir/t.cpp" "$dir/t_table.c" &&
        "$clang" "$@" -c "$dir/t.cpp" -o "$dir/t.o"
}

kernel() {
    case $1 in
    @*) text=${1#@} ;;
    *) text="$head $1 }" ;;
    esac
    shift
    (compiles "$text" "$@") >"$dir/log" 2>&1
}
kernel 'x[i] = exp(c[i]);' "$@" || { echo "rejects: a correct kernel does not compile:"; cat "$dir/log"; exit 1; }
failed=0 n=0
while IFS= read -r line; do
    n=$((n + 1))
    if kernel "$line" "$@"; then
        echo "rejects: accepted: $line"
        failed=1
    fi
done <<'LIST'
x[i] = erf(c[i]);
x[i] = expf(c[i]);
x[i] = std::exp(c[i]);
x[i] = tgamma(1.0f);
printf("x");
thread float *p = x;
threadgroup float *p = x;
c[i] = 1;
a.a = 1;
half4 h = 1; float4 v = h;
double d = 1;
x[i] = simd_sum(true);
x[i] = simd_sum(1l);
x[i] = simd_sum(x[i], 3);
x[i] = min(1, 2u);
x[i] = max(c[i], (half)1);
threadgroup float t[2] = {1, 2};
float4 v = float4(1, 2, 3);
float4 v = float4(half2(1), 1);
s t = sp[i]; x[i] = t.a;
float v[i]; x[i] = v[0];
threadgroup_barrier(mem_threadgroup);
threadgroup_barrier(mem_flags::mem_texture);
as_type<float>((ushort)1);
packed_float3 p;
x[i] = (int4)half2(1);
@kernel void k(device float *x [[buffer(0)]], int i [[thread_position_in_grid]]) { x[i] = 1; }
@kernel void k(device float *x, uint i [[thread_position_in_grid]]) { x[i] = 1; }
@kernel void k(float *x [[buffer(0)]]) { x[0] = 1; }
@kernel void k(device float *x [[buffer(0)]], uint i [[thread_position_in_gird]]) { x[i] = 1; }
@constant bool f [[function_constant(0)]] = true; kernel void k(device float *x [[buffer(0)]]) { x[0] = f; }
@constant int f [[function_constant(0)]]; constant int g = f + 1; kernel void k(device float *x [[buffer(0)]]) { x[0] = g; }
@constant int f [[function_constant(0)]]; kernel void k(device float *x [[buffer(0)]]) { float v[f]; v[0] = 1; x[0] = v[0]; }
@kernel int k(device float *x [[buffer(0)]]) { x[0] = 1; }
@template <typename T> kernel void k(device T *x [[buffer(0)]]) { x[0] = 1; } template [[host_name("a")]] kernel void k<float>(device half *);
@template <typename T> kernel void k(device T *x [[buffer(0)]]) { x[0] = 1; } template [[host_name("a")]] kernel void k<float>(device float *); template [[host_name("a")]] kernel void k<half>(device half *);
LIST
[ $failed -eq 0 ] && echo "rejects: all $n refused"
exit $failed
