/* Draws the model: reads it, changes nothing, knows no terminal. */
#ifndef TUTTI_VIEW_H
#define TUTTI_VIEW_H

#include "model.h"
#include "grid.h"

/* Draws the whole screen; model_prepare() went before, and the grid has the size of the layout. */
void view_draw(const struct model *m, struct grid *s);

/* Its parts. */
void view_rows(const struct model *m, struct grid *s);  /* heads and body of Files and Conflicts */
void view_lines(const struct model *m, struct grid *s); /* heads and body of the other screens */
void view_detail(const struct model *m, struct grid *s);
void view_title(const struct model *m, struct grid *s);
void view_servers(const struct model *m, struct grid *s);
void view_status(const struct model *m, struct grid *s);
void view_transfers(const struct model *m, struct grid *s);
void view_event(const struct model *m, struct grid *s);
void view_dialog(const struct model *m, struct grid *s); /* over all that */
void view_keys(const struct model *m, struct grid *s);

/* "-- left -- left      right --" helper: text that is put together and drawn at the right edge. */
struct bytes buf_bytes(const struct buf *b);

#endif
