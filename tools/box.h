/* The model in the box: a GGUF file (models/default) that is linked into the program and can be named like any other. */
#pragma once

#define BOX_MODEL "hy:stories"

/* Makes the name known. Before any model is opened. */
void box_init(void);
