# hy: make (the program), make demo, make test, make bench, make lint; config=debug|release|asan|ubsan|tsan|fuzz|cov,
# config=san: asan and ubsan in one; config=race: soft Metal's checker of races and unwritten memory.
# Everything is found by folder: a new .c file needs no line here.
.DEFAULT_GOAL := all
UNAME_S := $(shell uname -s)
config ?= release
CC ?= cc
ifeq ($(origin CC),default)
CC := cc
endif
B := build/$(config)
UNAME_M := $(shell $(CC) -dumpmachine 2>/dev/null | cut -d- -f1)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
        -Wwrite-strings -Wundef -Wvla -Wno-unused-parameter -Wno-missing-field-initializers
CFLAGS_release := -O3 -g1
CFLAGS_debug := -O0 -g3
CFLAGS_asan := -O1 -g -fsanitize=address -fno-omit-frame-pointer
CFLAGS_ubsan := -O1 -g -fsanitize=undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_san := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan := -O1 -g -fsanitize=thread
CFLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
CFLAGS_cov := -O0 -g --coverage
CFLAGS_race := -O2 -g -DSOFT_RACE
ifeq ($(CFLAGS_$(config)),)
$(error config=$(config) is unknown; use debug, release, asan, ubsan, san, tsan, fuzz, cov or race)
endif
ifeq ($(config),fuzz) # the clang that soft Metal needs anyway
CC := $(if $(filter Linux,$(UNAME_S)),clang-19,clang)
endif
CFLAGS += -std=gnu17 $(WARN) $(CFLAGS_$(config)) -I. -ffp-contract=off -fno-math-errno -fno-strict-aliasing
LDFLAGS += $(filter -fsanitize=% --coverage,$(CFLAGS_$(config))) -pthread
LDLIBS += -lxxhash -ledit -lmicrohttpd -ljansson -lpcre2-8 -lutf8proc -lm
ifeq ($(UNAME_S),Linux)
CFLAGS += -D_GNU_SOURCE
endif
ifeq ($(UNAME_S),Darwin)
BREW := $(shell brew --prefix 2>/dev/null)
CFLAGS += -D_DARWIN_C_SOURCE -I$(BREW)/include -I$(BREW)/opt/libedit/include
LDFLAGS += -L$(BREW)/lib -L$(BREW)/opt/libedit/lib
endif

# Kernels named *_cpu.c are compiled once per instruction set.
ifneq ($(filter x86_64 amd64,$(UNAME_M)),)
ISAS := scalar avx2 avx512
else ifneq ($(filter aarch64 arm64,$(UNAME_M)),)
ISAS := scalar neon neon_i8mm
else
ISAS := scalar
endif
ISA_scalar :=
ISA_avx2 := -mavx2 -mfma -mf16c
ISA_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mf16c -mprefer-vector-width=512
ISA_neon := -march=armv8.2-a+fp16+dotprod
ISA_neon_i8mm := -march=armv8.2-a+fp16+dotprod+i8mm -DISA_neon=1

DIRS := runtime gguf io kernels models models/tokenizer models/chat models/grammar sched
LIB_SRC := $(wildcard $(addsuffix /*.c,$(DIRS)))
CPU_SRC := $(filter %_cpu.c,$(LIB_SRC))
LIB_OBJ := $(patsubst %.c,$(B)/%.o,$(filter-out $(CPU_SRC),$(LIB_SRC))) \
           $(foreach i,$(ISAS),$(patsubst %.c,$(B)/%.$(i).o,$(CPU_SRC)))
V ?= 0
SAY = @$(if $(filter 0,$(V)),printf '%-6s %s\n' '$(1)' '$@' &&,set -x;)
include tools/build/kernels.mk
LIB_OBJ += $(KERNEL_OBJ) $(patsubst %.c,$(B)/%.o,$(SOFT_SRC))
SERVE_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tools/serve/*.c))
TOOL_OBJ := $(patsubst %.c,$(B)/%.o,$(filter-out tools/genmodel%,$(wildcard tools/*.c))) $(SERVE_OBJ)
LIB := $(B)/libhy.a
TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(filter-out $(if $(filter Darwin,$(UNAME_S)),tests/test_soft%),$(wildcard tests/test_*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
GEN := $(B)/hy-genmodel

.PHONY: all bin demo test tests-bin lint bench bench-stream bench-peer bench-batch kernels-test darwin-check fuzz clean
all:
	@sh tools/deps.sh build
	@$(MAKE) --no-print-directory bin
bin: $(B)/hy $(GEN)

$(B)/hy: $(TOOL_OBJ) $(LIB)
	$(call SAY,LINK) $(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(B)/tools/trace_html.o: $(wildcard tools/trace_page*)
$(B)/tools/box.o: models/default/stories.gguf
$(GEN): $(patsubst %.c,$(B)/%.o,$(wildcard tools/genmodel*.c)) $(LIB)
	$(call SAY,LINK) $(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(LIB): $(LIB_OBJ)
	$(call SAY,AR) rm -f $@ && ar rcs $@ $^
$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call SAY,CC) $(CC) $(CFLAGS) -MMD -MP -c $< -o $@
define ISA_RULE
$(B)/%.$(1).o: %.c Makefile
	@mkdir -p $$(@D)
	$$(call SAY,CC) $$(CC) $$(CFLAGS) $$(ISA_$(1)) -DISA=$(1) -DISA_$(1)=1 -MMD -MP -c $$< -o $$@
endef
$(foreach i,$(ISAS),$(eval $(call ISA_RULE,$(i))))
.SECONDARY: $(TESTS:%=%.o) $(FUZZERS:$(B)/fuzz/%=$(B)/tests/fuzz/%.o)
$(B)/tests/%: $(B)/tests/%.o $(LIB)
	$(call SAY,LINK) $(CC) $(LDFLAGS) $(filter %.o,$^) $(LIB) -lcmocka $(LDLIBS) -o $@
$(B)/tests/test_softexec: $(K)/tests/soft/sources.o $(K)/tests/soft/files.o $(call msl_obj,$(MSL_TEST)) # before libhy's own
$(B)/fuzz/%: $(B)/tests/fuzz/%.o $(LIB)
	@mkdir -p $(@D)
	$(call SAY,LINK) $(CC) $(LDFLAGS) -fsanitize=fuzzer $(filter %.o,$^) $(LIB) $(LDLIBS) -o $@

$(B)/tests/test_request $(B)/fuzz/fuzz_request: $(SERVE_OBJ)

# Text from the model in the box.
demo: all
	@echo
	@echo "  $(B)/hy run -p 'Tell me a story about a fox' --temp 0 --stats"
	@$(B)/hy run -p 'Tell me a story about a fox' --temp 0 --stats
	@echo
	@echo "  $(B)/hy run -p 'How does streaming work?' --temp 0"
	@$(B)/hy run -p 'How does streaming work?' --temp 0
	@echo
	@echo "Other models are GGUF files: $(B)/hy run MODEL.gguf -p 'Why is the sky blue?'"

tests-bin: $(TESTS)
test:
	@sh tools/deps.sh build && sh tools/deps.sh test
	@$(MAKE) --no-print-directory bin tests-bin
	@sh tests/run.sh $(B)
kernels-test: bin
	@$(B)/hy kernels-test
ifeq ($(config),fuzz)
fuzz: $(FUZZERS)
else
fuzz:
	@$(MAKE) --no-print-directory config=fuzz fuzz
endif
bench: all
	@$(B)/hy kernels-test --bench
bench-stream: all
	@sh tests/bench_stream.sh $(B)
bench-peer: all
	@sh tests/bench_peer.sh $(B)
BENCH_MODEL := build/models/llama-1b-Q4_K.gguf
BENCH_STREAM_MODEL := build/models/llama-3b-Q4_K.gguf
bench-batch: all $(B)/tests/bench_batch
	@mkdir -p $(dir $(BENCH_MODEL))
	@test -f $(BENCH_MODEL) || $(GEN) --arch llama --type Q4_K --size 1b -o $(BENCH_MODEL)
	@test -f $(BENCH_STREAM_MODEL) || $(GEN) --arch llama --type Q4_K --n-embd 3072 --n-layer 28 --n-ff 8192 --n-head 24 --n-head-kv 8 \
		--n-vocab 32000 --n-ctx 4096 -o $(BENCH_STREAM_MODEL)
	@$(B)/tests/bench_batch $(BENCH_MODEL)
	@$(B)/tests/bench_batch --stream $(BENCH_STREAM_MODEL)
	@$(B)/tests/bench_batch --stream $(BENCH_STREAM_MODEL) 4 # the disk's share: little to compute for each byte
darwin-check:
	@sh tests/darwin_check.sh
lint:
	@sh tools/deps.sh lint
	@sh tests/lint.sh
clean:
	rm -rf build
-include $(shell find $(B) -name '*.d' 2>/dev/null)
