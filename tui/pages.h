/* The text of the screens that are no table: Transfers, Events, Servers, Details, Help; those
 * of the past and of what is held call past.h and holds.h. */
#ifndef TUTTI_PAGES_H
#define TUTTI_PAGES_H

#include "model.h"

/* Writes the lines of a view (not Files or Conflicts). */
void page_build(const struct model *m, enum view view, struct lines *out);
/* Details from the answer to `row`. */
void page_details(struct lines *out, const struct model *m, const msgpack_object *row);
/* An event as one sentence. */
void event_words(struct buf *out, const struct event *e, bool ascii);
unsigned event_look(const struct event *e);
/* "[###---]", `width` columns. */
void bar_text(struct buf *out, int width, uint64_t done, uint64_t total);
/* What a server is doing, in a few words; `now` in ns, `received` when the words came. */
void server_words(struct buf *out, const struct server *s, int64_t received, int64_t now,
		  bool brief, bool ascii);

#endif
