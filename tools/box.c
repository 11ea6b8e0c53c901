#include "tools/box.h"

#include "io/file.h"

/* The assembler reads the file; its path is from the folder that make runs in. */
#ifdef __APPLE__
#define SECTION ".const_data"
#define SYMBOL(name) "_" name
#else
#define SECTION ".section .rodata"
#define SYMBOL(name) name
#endif
__asm__(SECTION "\n"
        ".balign 64\n"
        ".globl " SYMBOL("box_begin") "\n" SYMBOL("box_begin") ":\n"
        ".incbin \"models/default/stories.gguf\"\n"
        ".globl " SYMBOL("box_end") "\n" SYMBOL("box_end") ":\n"
        ".byte 0\n"
        ".text\n");

extern const unsigned char box_begin[], box_end[];

void box_init(void) { file_embed(BOX_MODEL, box_begin, (uint64_t)(box_end - box_begin)); }
