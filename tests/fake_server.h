/* A server's answers without a server: real tables (src/table) over rows that a test makes up,
 * and a status that it sets. Knows no sockets: requests and answers are msgpack maps. A client's
 * model can be tied to it directly, or through a tiny_server. */
#ifndef TUTTI_FAKE_SERVER_H
#define TUTTI_FAKE_SERVER_H

#include "fake_keys.h"
#include "fake_past.h"
#include "table.h"
#include "wire.h"

enum { FAKE_TABLES_MAX = 8, FAKE_SERVERS_MAX = 12, FAKE_EVENTS_MAX = 4096 };

struct fake_row {
	struct row row;
	char cells[FAKE_SERVERS_MAX + 1];
	char note[48];
	bool conflict_copy, executable;
};

struct fake_table {
	uint32_t id; /* 0: free */
	struct table *table;
	bool tree;
	unsigned window;     /* rows; 0: none yet */
	bool anchored;
	node_t at;
	uint64_t line, first;
	uint64_t seen;       /* generation that was sent last */
};

struct fake_server_state {
	const char *name, *address, *state, *error;
	int64_t since;
	uint64_t retry_ms, tries, pending_files, pending_bytes, problems, held;
};

struct fake {
	struct tree *tree;
	struct rows *rows;
	struct fake_row *of; /* by node */
	size_t cap;
	struct fake_table tables[FAKE_TABLES_MAX];
	uint32_t last_table;
	const char *root;
	struct fake_server_state servers[FAKE_SERVERS_MAX];
	size_t n_servers;
	uint64_t conflicts;
	struct fake_past past;
	struct fake_keys keys;
	bool scanning;
	uint64_t next_event, first_event;
	struct buf events[FAKE_EVENTS_MAX]; /* packed, by number */
	uint64_t windows;    /* table.window requests so far */
	uint64_t resyncs;
};

struct fake *fake_new(size_t n_servers); /* named alpha, beta, gamma ...; all well */
void fake_free(struct fake *f);

/* Adds or changes a row, and the folders above it. Cells: NULL for all '='. */
void fake_put(struct fake *f, const char *path, unsigned kind, uint64_t size, int64_t mtime_s,
	      enum row_state state, const char *cells, const char *note);
void fake_put_bytes(struct fake *f, struct bytes path, unsigned kind, uint64_t size,
		    int64_t mtime_s);
void fake_remove(struct fake *f, const char *path);
/* The files of the sketch in the design of the screen: folders, a conflict, transfers ... */
void fake_sample(struct fake *f);
/* `n` files in folders of 1000: "d00/…/f000042.dat". */
void fake_many(struct fake *f, size_t n);

/* Answers a request: NULL with a packed map in *result, or what is wrong. */
const char *fake_call(struct fake *f, struct bytes method, const msgpack_object *params,
		      struct buf *result);

/* Packed params of notifications. fake_changed_rows() gives those of the next table whose window
 * may have changed; false if there is none. */
bool fake_changed_rows(struct fake *f, struct buf *params);
void fake_event(struct fake *f, struct buf *params, int64_t time_s, const char *what,
		const char *path, const char *replica, const char *detail);
void fake_status(struct fake *f, struct buf *params);
/* Two transfers on their way; none if `running` is false. */
void fake_progress(struct fake *f, struct buf *params, bool running);

#endif
