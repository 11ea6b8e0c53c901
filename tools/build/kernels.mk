# The .metal kernels: embedded as text everywhere; on Linux also compiled for soft Metal (runtime/soft).
#   X.metal -> X.msl   what newLibraryWithSource will be given (includes inlined)
#           -> X.mi    the same, preprocessed: where the scanner finds kernels that macros make
#           -> X.cpp   the same for clang-19 with the shim, X_table.c its kernels and their arguments
MSL := $(wildcard kernels/*.metal)
MSL_TEST := $(addprefix tests/soft/,norm.metal matvec.metal gemm.metal faults.metal forms.metal)
K := $(B)/msl
SCAN := $(B)/scan_kernels
msl_obj = $(patsubst %.metal,$(K)/%.o,$(1)) $(patsubst %.metal,$(K)/%_table.o,$(1))

ifeq ($(UNAME_S),Darwin)
MSL_CC := clang
KERNEL_OBJ := $(K)/kernels/sources.o
SOFT_SRC :=
LDFLAGS += -framework Metal -framework Foundation -framework CoreGraphics
LDLIBS += -lobjc
else
MSL_CC := clang-19
LDLIBS += -Wl,--as-needed -l:libobjc.so.4 # programs without Metal do not load it
SOFT_SRC := $(filter-out $(if $(filter race,$(config)),,runtime/soft/race.c),$(wildcard runtime/soft/*.c))
KERNEL_OBJ := $(K)/kernels/sources.o $(K)/kernels/files.o $(call msl_obj,$(MSL))
KOPT_release := -O2 -g1
KOPT_debug := -O1 -g
KOPT_tsan := -O2 -g1
KOPT_cov := -O1 -g
KOPT_asan := -O1 -g -fsanitize=address -fsanitize-address-use-after-return=never -fno-omit-frame-pointer
KOPT_ubsan := -O1 -g -fsanitize=undefined -fno-sanitize=function,vptr -fno-sanitize-recover=all
KOPT_san := $(KOPT_asan) -fsanitize=undefined -fno-sanitize=function,vptr -fno-sanitize-recover=all
KOPT_fuzz := -O1 -g
KOPT_race := -O1 -g -fno-vectorize -fno-slp-vectorize -fsanitize=thread -fno-sanitize-thread-atomics -DSOFT_RACE
KARCH_x86_64 := -march=x86-64-v3 -Xclang -ffloat16-excess-precision=none
KARCH_aarch64 := -march=armv8.2-a+fp16
KFLAGS := -x c++ -std=c++14 $(KARCH_$(UNAME_M)) -ffp-contract=off -flax-vector-conversions=none -fno-math-errno \
          -fno-strict-aliasing -fno-exceptions -fno-rtti -fno-asynchronous-unwind-tables -Werror=vla \
          -Werror=vla-cxx-extension -Werror=global-constructors -I.
endif

$(SCAN): $(wildcard tools/build/scan*.c) tools/build/scan.h
	@mkdir -p $(@D)
	$(call SAY,SCAN) $(CC) -std=gnu17 $(WARN) -O1 -I. $(filter %.c,$^) -o $@
$(K)/%.msl: %.metal $(SCAN)
	@mkdir -p $(@D)
	$(call SAY,TEXT) $(SCAN) text $< $@
$(K)/%.mi: $(K)/%.msl
	$(call SAY,CPP) $(MSL_CC) -E -x c++ -std=c++14 -nostdinc -undef -I runtime/soft/msl -D__METAL__=1 -D__METAL_VERSION__=310 $< -o $@
$(K)/%.cpp: $(K)/%.mi $(K)/%.msl $(SCAN)
	$(call SAY,SCAN) $(SCAN) soft $*.metal $(K)/$*.mi $(K)/$*.msl $(K)/$*.cpp $(K)/$*_table.c
$(K)/%_table.c: $(K)/%.cpp ;
$(K)/%.o: $(K)/%.cpp $(wildcard runtime/soft/*.h)
	$(call SAY,METAL) $(MSL_CC) $(KFLAGS) $(KOPT_$(config)) -c $< -o $@
$(K)/%_table.o: $(K)/%_table.c
	$(call SAY,CC) $(CC) $(CFLAGS) -c $< -o $@

# The tables of a set of kernels: the product's own, and those that test the executor.
define MSL_SET
$(K)/$(1)/sources.c: $(2:%.metal=$(K)/%.mi) $(2:%.metal=$(K)/%.msl) $(SCAN)
	$$(call SAY,EMBED) $(SCAN) embed $(foreach m,$(2),$(m)=$(K)/$(m:.metal=.msl)=$(K)/$(m:.metal=.mi)) >$$@.part && mv $$@.part $$@
$(K)/$(1)/files.c: $(SCAN) $(2:%.metal=$(K)/%.msl) tools/build/kernels.mk
	$$(call SAY,LIST) $(SCAN) list $(notdir $(2:.metal=)) >$$@.part && mv $$@.part $$@
$(K)/$(1)/sources.o $(K)/$(1)/files.o: %.o: %.c
	$$(call SAY,CC) $$(CC) $$(CFLAGS) -c $$< -o $$@
.SECONDARY: $(foreach x,.msl .mi .cpp _table.c,$(2:%.metal=$(K)/%$(x)))
endef
$(eval $(call MSL_SET,kernels,$(MSL)))
$(eval $(call MSL_SET,tests/soft,$(MSL_TEST)))
-include $(wildcard $(K)/*/*.d $(K)/tests/soft/*.d)
