/* Where an interpreter lives: found from paths alone, nothing is executed. */
#ifndef PSB_PYTHON_LAYOUT_H
#define PSB_PYTHON_LAYOUT_H

#include "pysandbox.h"

struct python_layout {
	char executable[512]; /* the real ELF file */
	char prefix[512];     /* of the base installation: prefix/lib/pythonX.Y exists */
	char venv[512];       /* "" or the directory that holds pyvenv.cfg */
	char version[16];     /* "3.11" */
};

/* PSB_E_NOT_FOUND or PSB_E_UNSUPPORTED, with the remedy. */
int python_layout_find(const char *python, struct python_layout *out, struct psb_error *err);

#endif
