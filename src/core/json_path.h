/* Where in a JSON text a byte is, for messages: "limits.wall_ms", "imports.names[3]". */
#ifndef PSB_CORE_JSON_PATH_H
#define PSB_CORE_JSON_PATH_H

#include <stddef.h>
#include <stdint.h>

/* Any text, checked or not. `out` is always terminated; "" for the top value, or if the path does
 * not fit or is deeper than a message would show. */
void json_path_at(const uint8_t *text, size_t len, size_t offset, char *out, size_t size);

#endif
