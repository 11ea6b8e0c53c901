#!/bin/sh
# The kernels' source: what soft Metal's compile step must refuse, and a stricter stand-in for Apple's
# compiler where it lies beside the project ($HY_MSL_STRICT).
set -u
: "${HY_BUILD:=build/release}"
failed=0
verdict() { if [ "$1" -eq 0 ]; then echo "ok $2"; else echo "FAIL $2"; failed=1; fi; }

if [ "$(uname -s)" = Linux ]; then
    sh tests/soft/rejects.sh "$HY_BUILD/scan_kernels" clang-19 -x c++ -std=c++14 -flax-vector-conversions=none \
        -fno-exceptions -fno-rtti -Werror=vla -Werror=vla-cxx-extension -Werror=global-constructors -I. -O1
    verdict $? "source that must not compile"
fi

strict="${HY_MSL_STRICT:-../shared/tools/msl-strict}/mslcheck.py"
if [ ! -f "$strict" ]; then echo "skip strict check: no $strict"
elif ! command -v python3 >/dev/null 2>&1; then echo "skip strict check: no python3"
else
    for kernel in kernels/*.metal; do
        python3 "$strict" -I . "$kernel"
        verdict $? "strict $(basename "$kernel")"
    done
fi
exit "$failed"
