/*
 * Fuzzes the index on disk: a database that somebody wrote to is opened, loaded into an engine, or
 * refused, whatever its bytes. Input: places in a good database (4 bytes) and what stands there instead
 * (a length and bytes); the first byte says how long the file is at the end.
 */
#include "config.h"
#include "engine.h"
#include "fuzz.h"
#include "store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT "00112233445566778899aabbccddeeff"

static char folder[64], file[80];
static uint8_t *good;
static size_t good_len;

static void clean(void)
{
	DIR *d = opendir(folder);
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

static void end(void)
{
	clean();
	rmdir(folder);
}

static void write_file(const uint8_t *p, size_t len)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, p, len) != (ssize_t)len)
		abort();
	close(fd);
}

static struct engine *an_engine(void)
{
	return engine_new(&(struct engine_config){.id = {{7}}, .name = "x", .counter = 100, .hash_seed = 1, .life = 1});
}

static int load_replica(void *ctx, const struct store_replica *r)
{
	char name[256];
	snprintf(name, sizeof(name), "%.*s", (int)(r->name.len < 250 ? r->name.len : 250),
		 (const char *)(r->name.p ? r->name.p : (const uint8_t *)""));
	return engine_load_replica(ctx, r->num, &(struct seen){.id = r->id, .merged = r->merged, .known = r->known},
				   name);
}

static int load_meta(void *ctx, const struct store_meta *m)
{
	return strcmp(m->key, STORE_LIVES) == 0 ? engine_load_lives(ctx, m->value) : 0;
}

static int load_entry(void *ctx, const struct store_entry *e)
{
	return engine_load(ctx, e->path, e->record);
}

/* A database with some entries, made by the engine and the store themselves. */
static void make_good(void)
{
	struct store *s = NULL;
	char *text = NULL;
	struct replica_id id = {{7}};
	if (store_open(&s, folder, ROOT, &text) != STORE_NEW || store_begin(s, ROOT, &id, NULL, &text) < 0)
		abort();
	struct engine *e = an_engine();
	engine_time(e, 1000000000, 1000);
	engine_start(e, INDEX_NEW);
	struct action a;
	struct store_entry rows[16];
	struct buf records[16] = {0}, paths[16] = {0};
	size_t n = 0;
	static const char *const names[] = {"a", "b", "c.txt", "d"};
	while (engine_next(e, &a)) {
		if (a.type == ACT_LIST) {
			struct listed items[ARRAY_LEN(names)] = {0};
			for (size_t i = 0; i < ARRAY_LEN(names); i++)
				items[i] = (struct listed){bytes_of(names[i]),
							   {.kind = KIND_FILE, .size = i, .stamp = i + 1, .mode = 0644}};
			engine_listed(e, a.job, 0, items, a.path.len ? 0 : ARRAY_LEN(names), false);
		} else if (a.type == ACT_LOOK) {
			struct look looks[64];
			size_t k = a.n;
			memcpy(looks, a.looks, k * sizeof(*looks));
			for (size_t i = 0; i < k; i++) {
				looks[i].found = (struct found){.kind = KIND_FILE, .size = i, .stamp = i + 1, .mode = 0644};
				looks[i].found.hash[0] = (uint8_t)(i + 1);
			}
			engine_looked(e, a.job, looks, k);
		} else if (a.type == ACT_STORE) {
			for (size_t i = 0; i < a.n && n < ARRAY_LEN(rows); i++, n++) {
				tree_path(engine_tree(e), a.nodes[i], &paths[n]);
				engine_record(e, a.nodes[i], &records[n]);
				rows[n] = (struct store_entry){.path = {paths[n].data, paths[n].len},
							       .seq = n + 1, .kind = KIND_FILE,
							       .record = {records[n].data, records[n].len}};
			}
			engine_stored(e, a.job);
		}
	}
	struct store_replica known = {.id = {{9}}, .name = bytes_of("beta"), .merged = 1, .known = 2, .num = 1};
	struct store_batch b = {.entries = rows, .n_entries = n, .replicas = &known, .n_replicas = 1,
				.counter = 100};
	if (!n || store_commit(s, &b, &text) < 0)
		abort();
	store_close(s, true);
	engine_free(e);
	for (size_t i = 0; i < n; i++) {
		buf_release(&records[i]);
		buf_release(&paths[i]);
	}
	FILE *f = fopen(file, "rb");
	if (!f || fseek(f, 0, SEEK_END) < 0)
		abort();
	good_len = (size_t)ftell(f);
	good = xmalloc(good_len);
	rewind(f);
	if (fread(good, 1, good_len, f) != good_len)
		abort();
	fclose(f);
}

static void make_once(void)
{
	const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	if (good)
		return;
	snprintf(folder, sizeof(folder), "%s/tutti-fuzz-XXXXXX", tmp);
	if (!mkdtemp(folder))
		abort();
	snprintf(file, sizeof(file), "%s/index.db", folder);
	atexit(end);
	make_good();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	make_once();
	uint8_t *bad = xmemdup(good, good_len);
	uint8_t cut = input_byte(&in);
	size_t len = cut ? good_len * cut / 255 : good_len;
	while (in.len) {
		size_t at = input_number(&in, 4) % good_len;
		struct bytes b = input_bytes(&in, false);
		if (b.len > good_len - at)
			b.len = good_len - at;
		if (b.len)
			memcpy(bad + at, b.p, b.len);
	}
	clean();
	write_file(bad, len);
	free(bad);
	struct store *s = NULL;
	char *text = NULL;
	enum store_opening opening = store_open(&s, folder, ROOT, &text);
	MUST((s != NULL) == (opening == STORE_NEW || opening == STORE_OPENED || opening == STORE_LOST));
	MUST(opening == STORE_OPENED || opening == STORE_NEW || text);
	free(text);
	text = NULL;
	if (opening == STORE_OPENED) {
		struct engine *e = an_engine();
		struct store_callbacks c = {.ctx = e, .meta = load_meta, .replica = load_replica, .entry = load_entry};
		engine_time(e, 1000000000, 1000);
		int r = store_load(s, &c, &text);
		if (r == 0) {
			struct action a;
			engine_start(e, INDEX_WALKED);
			for (int i = 0; i < 100 && engine_next(e, &a); i++)
				;
		}
		free(text);
		engine_free(e);
	}
	store_close(s, false);
	return 0;
}
