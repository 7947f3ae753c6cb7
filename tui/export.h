/* Writes the table as it is shown, all its rows, to a new file: as text, as CSV (name ends in
 * ".csv") or as JSON, one object a line (".json"). Asks for it page by page, so that it may have
 * any number of rows; the screen goes on meanwhile. */
#ifndef TUTTI_EXPORT_H
#define TUTTI_EXPORT_H

#include "model.h"

struct export;

/* NULL, after saying why in the model, if the file cannot be made (an existing one is kept). The
 * answers to requests with TAG_EXPORT go to export_answer(). */
struct export *export_begin(struct model *m, struct bytes file);
/* False at its end: it was finished or failed, said so in the model, and is gone. */
bool export_answer(struct export *e, uint32_t tag, const msgpack_object *result, const char *error);
/* Ends it early; what was written is removed. */
void export_cancel(struct export *e, const char *why);

#endif
