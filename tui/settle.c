/* Owns the settling of conflicts on the screen. */
#include "config.h"
#include "settle.h"

#include "entry.h"
#include "model.h"
#include "path.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>

static struct bytes path_of_marked(const struct settle *s, const struct marked *k)
{
	return (struct bytes){s->paths.data + k->path_from, k->path_len};
}

static void forget_versions(struct settle *s)
{
	for (size_t i = 0; i < s->n; i++) {
		own_release(&s->versions[i].replica);
		own_release(&s->versions[i].copy);
		own_release(&s->versions[i].target);
	}
	free(s->versions);
	s->versions = NULL;
	s->n = s->at = 0;
	s->known = s->deciding = false;
}

static void forget_marked(struct settle *s)
{
	free(s->marked);
	s->marked = NULL;
	s->n_marked = s->cap_marked = 0;
	buf_release(&s->paths);
	buf_release(&s->by);
	buf_release(&s->last);
	s->gathering = false;
}

void settle_release(struct settle *s)
{
	forget_versions(s);
	forget_marked(s);
	buf_release(&s->near);
	own_release(&s->path);
	buf_release(&s->choice);
	buf_release(&s->error);
	buf_release(&s->undone);
	free(s->undo);
	*s = (struct settle){0};
}

/* The keys of versions, in their order; those that mean something else in the dialog are left out. */
static const char letters[] = "abcefghilmoprstuwyz";

static char version_letter(size_t i)
{
	return i < sizeof(letters) - 1 ? letters[i] : ' ';
}

/* Of the serial number, what a tag has room for. */
static unsigned low_serial(const struct settle *s)
{
	return s->serial & 0xffff;
}

/* ---- asking ------------------------------------------------------------------------------ */

static bool ask_one(struct model *m, enum settle_seek seek)
{
	struct settle *s = &m->settle;
	struct bytes near = {s->near.data, s->near.len};
	struct bytes last = {s->last.data, s->last.len};
	struct buf p = {0};
	if (seek != s->seek)
		last.len = 0;
	s->seek = seek;
	s->known = s->deciding = false;
	s->serial++;
	wire_map(&p, (size_t)(1 + (seek != SEEK_ANY) + (seek == SEEK_COPY && last.len > 0)));
	if (seek == SEEK_COPY)
		wire_put_bin(&p, "under", path_parent(near));
	if (seek == SEEK_COPY && last.len > 0)
		wire_put_bin(&p, "after", last);
	if (seek == SEEK_AT || seek == SEEK_AFTER)
		wire_put_bin(&p, seek == SEEK_AT ? "under" : "after", near);
	wire_put_uint(&p, "max", seek == SEEK_COPY ? SETTLE_PAGE : 1);
	return model_ask_tagged(m, ASK_CONFLICT, low_serial(s), "conflicts", &p);
}

static bool ask_marked(struct model *m)
{
	struct settle *s = &m->settle;
	struct buf p = {0};
	wire_map(&p, s->last.len > 0 ? 2 : 1);
	if (s->last.len > 0)
		wire_put_bin(&p, "after", (struct bytes){s->last.data, s->last.len});
	wire_put_uint(&p, "max", SETTLE_PAGE);
	return model_ask_tagged(m, ASK_MARKED, low_serial(s), "conflicts", &p);
}

static void open_near(struct model *m, struct bytes path, enum settle_seek seek)
{
	struct buf copy = {0};
	buf_add(&copy, path.p, path.len);
	buf_release(&m->settle.near);
	m->settle.near = copy;
	buf_clear(&m->settle.last);
	if (ask_one(m, seek))
		dialog_open(m, DIALOG_CONFLICT);
}

static void gather(struct model *m)
{
	struct settle *s = &m->settle;
	forget_marked(s);
	s->serial++;
	s->gathering = ask_marked(m);
	if (s->gathering)
		dialog_open(m, DIALOG_MARKED);
}

void settle_open(struct model *m, struct bytes path)
{
	if (!m->connected)
		model_say(m, LOOK_BAD, "There is no connection to the server");
	else if (m->settle.running)
		model_say(m, LOOK_PLAIN, "The last resolution is still under way");
	else if (model_shows_rows(m) && m->marks.n > 0)
		gather(m);
	else
		open_near(m, path,
			  path.len == 0 ? SEEK_ANY : path_is_conflict_name(path) ? SEEK_COPY : SEEK_AT);
}

/* ---- the versions of one ----------------------------------------------------------------- */

static void read_versions(struct settle *s, const msgpack_object *o)
{
	const msgpack_object *list = wire_get(o, "versions");
	forget_versions(s);
	own_get(o, "path", &s->path);
	wire_get_uint(o, "stamp", UINT64_MAX, &s->stamp);
	s->n = wire_count(list);
	s->versions = xcalloc(s->n + 1, sizeof(*s->versions));
	for (size_t i = 0; i < s->n; i++) {
		const msgpack_object *v = wire_at(list, i);
		struct contender *to = &s->versions[i];
		uint64_t kind;
		wire_get_uint(v, "kind", KIND_SYMLINK, &kind);
		to->kind = (uint8_t)kind;
		wire_get_uint(v, "size", UINT64_MAX, &to->size);
		wire_get_int(v, "mtime", &to->mtime);
		wire_get_bool(v, "here", &to->here);
		own_get(v, "replica", &to->replica);
		own_get(v, "copy", &to->copy);
		own_get(v, "target", &to->target);
	}
	s->at = s->n > 1 ? 1 : 0;
	s->known = s->n > 0;
}

/* Which of the conflicts has the copy that was meant; their number if none. */
static size_t find_copy(const struct settle *s, const msgpack_object *list)
{
	struct bytes near = {s->near.data, s->near.len}, copy;
	for (size_t i = 0; i < wire_count(list); i++) {
		const msgpack_object *versions = wire_get(wire_at(list, i), "versions");
		for (size_t k = 0; k < wire_count(versions); k++)
			if (wire_get_bytes(wire_at(versions, k), "copy", &copy) &&
			    bytes_eq(copy, near))
				return i;
	}
	return wire_count(list);
}

/* Notes where the next page begins; false if there is none. A server that does not get on is not
 * asked again. */
static bool on_next_page(struct settle *s, const msgpack_object *result)
{
	const msgpack_object *list = wire_get(result, "conflicts");
	struct bytes last = {0}, before = {s->last.data, s->last.len};
	bool more = false;
	wire_get_bool(result, "more", &more);
	if (wire_count(list) > 0)
		wire_get_bytes(wire_at(list, wire_count(list) - 1), "path", &last);
	if (!more || last.len == 0 || bytes_eq(last, before))
		return false;
	buf_clear(&s->last);
	buf_add(&s->last, last.p, last.len);
	return true;
}

static void on_conflict(struct model *m, const msgpack_object *result)
{
	struct settle *s = &m->settle;
	const msgpack_object *list = wire_get(result, "conflicts");
	if (m->dialog != DIALOG_CONFLICT)
		return;
	size_t at = s->seek == SEEK_COPY ? find_copy(s, list) : 0;
	if (result && s->seek == SEEK_COPY && at == wire_count(list) && on_next_page(s, result)) {
		if (!ask_one(m, SEEK_COPY))
			dialog_close(m);
	} else if (result && at < wire_count(list)) {
		read_versions(s, wire_at(list, at));
		if (m->view == VIEW_CONFLICTS)
			listing_select(&m->conflicts, own_bytes(&s->path));
	} else if (result && s->seek != SEEK_ANY) {
		/* None there: the next one; after the last the first. */
		if (!ask_one(m, s->seek + 1))
			dialog_close(m);
	} else {
		dialog_close(m);
		if (result)
			model_say(m, LOOK_GOOD, "There are no conflicts");
	}
}

/* Who made it, for a sentence. */
static void maker(struct buf *out, const struct contender *v, bool ascii)
{
	if (v->replica.len > 0)
		show(out, own_bytes(&v->replica), ascii);
	else
		buf_addf(out, "a server that is not known any more");
}

static void show_base(struct buf *out, struct bytes path, bool ascii)
{
	show(out, path_base(path), ascii);
}

static bool is_newest(const struct settle *s, size_t i)
{
	for (size_t k = 0; k < s->n; k++)
		if (k != i && s->versions[k].mtime >= s->versions[i].mtime)
			return false;
	return true;
}

/* Of a file its size. */
static const char *kind_words(const struct contender *v, const char *size)
{
	return v->kind == KIND_FILE ? size : v->kind == KIND_SYMLINK ? "link" : "folder";
}

static void version_line(const struct model *m, struct lines *out, size_t i)
{
	const struct settle *s = &m->settle;
	const struct contender *v = &s->versions[i];
	char size[40], time[20];
	struct buf who = {0};
	bool brief = dialog_is_brief(m);
	setup_size(m->setup.units, size, v->size, brief ? FORMAT_SHORT : FORMAT_LONG);
	show_time(time, v->mtime, brief ? FORMAT_SHORT : FORMAT_SECONDS);
	maker(&who, v, m->ascii);
	lines_next(out, LOOK_PLAIN);
	lines_number(out, (uint8_t)version_letter(i) | (i == s->at ? (uint32_t)DIALOG_AT : 0));
	lines_addf(out, "%c %c  keep %.*s's", i == s->at ? '>' : ' ', version_letter(i),
		   (int)(who.len < 200 ? who.len : 200), (const char *)who.data);
	if (brief) {
		lines_next(out, LOOK_PLAIN);
		lines_addf(out, "     %s  %s", kind_words(v, size), time);
	} else {
		lines_pad(out, 22);
		lines_addf(out, " %10s  %s", kind_words(v, size), time);
	}
	if (is_newest(s, i))
		lines_addf(out, "  newest");
	buf_release(&who);
	if (brief && v->here)
		return;
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, "     ");
	if (v->target.len > 0) {
		lines_addf(out, "points to ");
		lines_show(out, own_bytes(&v->target), m->ascii);
		lines_addf(out, ", ");
	}
	if (v->copy.len == 0) {
		lines_addf(out, "has the name");
	} else {
		lines_addf(out, "is in ");
		show_base(&out->text, own_bytes(&v->copy), m->ascii);
	}
	if (!v->here)
		lines_addf(out, " (not on this disk yet)");
}

void settle_one_lines(const struct model *m, struct lines *out, int width)
{
	const struct settle *s = &m->settle;
	char n[32];
	lines_next(out, LOOK_STRONG);
	lines_addf(out, "Conflict");
	if (s->known) {
		lines_addf(out, ": ");
		lines_show(out, own_bytes(&s->path), m->ascii);
	}
	if (!s->known) {
		lines_next(out, LOOK_OLD);
		lines_addf(out, m->connected ? "Asking the server ..."
					     : "There is no connection to the server.");
		return;
	}
	format_count(n, s->n);
	struct buf text = {0};
	buf_addf(&text, "%s versions were made, none by somebody who had seen another.",
		 s->n == 2 ? "Two" : n);
	if (!dialog_is_brief(m)) {
		lines_wrap(out, LOOK_PLAIN, (struct bytes){text.data, text.len}, (size_t)width);
		lines_next(out, LOOK_PLAIN);
	}
	for (size_t i = 0; i < s->n; i++)
		version_line(m, out, i);
	lines_next(out, LOOK_PLAIN);
	lines_number(out, '2');
	lines_addf(out, "  2  keep %s: the copies become plain files beside it",
		   s->n == 2 ? "both" : "all");
	lines_next(out, LOOK_PLAIN);
	lines_number(out, 'd' | DIALOG_HARMLESS);
	lines_addf(out, "  d  difference of a and %c", version_letter(s->at == 0 ? 1 : s->at));
	if (s->n > 2)
		lines_addf(out, " (j, k choose)");
	lines_next(out, LOOK_PLAIN);
	lines_number(out, 'v' | DIALOG_HARMLESS);
	lines_addf(out, "  v  view %c", version_letter(s->at));
	lines_next(out, LOOK_PLAIN);
	lines_number(out, 'n' | DIALOG_HARMLESS);
	lines_addf(out, "  n  next conflict");
	if (m->news.status.conflicts > 1) {
		format_count(n, m->news.status.conflicts);
		lines_addf(out, " (there are %s)", n);
	}
	lines_next(out, LOOK_PLAIN);
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, "  Esc  decide later");
	buf_clear(&text);
	buf_addf(&text, s->deciding ? "The server is settling it ..."
				    : "Nothing is lost: what is replaced goes to the trash (6), and "
				      "u brings it back.");
	lines_wrap(out, LOOK_PLAIN, (struct bytes){text.data, text.len}, (size_t)width);
	buf_release(&text);
}

static void decide(struct model *m, bool both, size_t version)
{
	struct settle *s = &m->settle;
	struct buf p = {0};
	if (!model_allows(m, DO_UNDO))
		return;
	buf_clear(&s->choice);
	if (both) {
		buf_addf(&s->choice, "Kept all versions of ");
	} else {
		buf_addf(&s->choice, "Kept ");
		maker(&s->choice, &s->versions[version], m->ascii);
		buf_addf(&s->choice, "'s version of ");
	}
	show(&s->choice, own_bytes(&s->path), m->ascii);
	wire_map(&p, both ? 3 : 4);
	wire_put_bin(&p, "path", own_bytes(&s->path));
	wire_put_uint(&p, "stamp", s->stamp);
	wire_put_text(&p, "keep", both ? "both" : "this");
	if (!both)
		wire_put_uint(&p, "version", version);
	s->serial++;
	s->deciding = model_ask_tagged(m, ASK_RESOLVE, low_serial(s), "resolve", &p);
}

static void add_undo(struct settle *s, const msgpack_object *result)
{
	GROW(s->undo, s->cap_undo, s->n_undo + 1);
	wire_get_uint(result, "undo", UINT64_MAX, &s->undo[s->n_undo++]);
}

static void on_resolved(struct model *m, const msgpack_object *result)
{
	struct settle *s = &m->settle;
	s->deciding = false;
	if (result) {
		s->n_undo = 0;
		add_undo(s, result);
		pathset_remove(&m->marks, own_bytes(&s->path));
		model_say(m, LOOK_GOOD, "%.*s; u undoes it", (int)s->choice.len,
			  (const char *)s->choice.data);
		if (m->dialog == DIALOG_CONFLICT)
			dialog_close(m);
		return;
	}
	/* Nothing was decided; what is there now is shown (the error stays in its line). */
	buf_clear(&s->near);
	buf_add(&s->near, s->path.p, s->path.len);
	if (m->dialog == DIALOG_CONFLICT && !ask_one(m, SEEK_AT))
		dialog_close(m);
}

/* Leaves it to the program to show versions of the selected one (and another). */
static void view_versions(struct model *m, enum todo what)
{
	struct settle *s = &m->settle;
	const struct contender *v[2] = {&s->versions[s->at], NULL};
	size_t n = 1;
	if (what == TODO_DIFF && s->n > 1)
		v[n++] = &s->versions[s->at == 0 ? 1 : 0];
	/* The one with the name, or the earlier one, stands to the left. */
	if (n == 2 && s->at > 0) {
		v[1] = v[0];
		v[0] = &s->versions[0];
	}
	m->todo |= (unsigned)what;
	buf_clear(&m->todo_text);
	for (size_t i = 0; i < n; i++) {
		struct bytes path = own_bytes(v[i]->copy.len > 0 ? &v[i]->copy : &s->path);
		if (i > 0)
			buf_add_char(&m->todo_text, '\0');
		buf_add(&m->todo_text, path.p, path.len);
	}
}

bool settle_one_key(struct model *m, uint32_t key)
{
	struct settle *s = &m->settle;
	bool up = key == 'k' || key == K_UP || key == K_CTRL('P');
	bool down = key == 'j' || key == K_DOWN || key == K_CTRL('N');
	const char *letter = key > 0 && key < 128 ? strchr(letters, (int)key) : NULL;
	/* What is not on the screen yet can neither be decided nor looked at. */
	if (!s->known || s->deciding || !m->dialog_shown)
		return true;
	if (up || down) {
		s->at = up ? s->at - (s->at > 0) : s->at + (s->at + 1 < s->n);
		m->dialog_follows = true;
	} else if (key == '2') {
		decide(m, true, 0);
	} else if (letter && (size_t)(letter - letters) < s->n) {
		decide(m, false, (size_t)(letter - letters));
	} else if (key == 'd' || key == 'v') {
		view_versions(m, key == 'd' ? TODO_DIFF : TODO_SHOW);
	} else if (key == 'n') {
		open_near(m, own_bytes(&s->path), SEEK_AFTER);
	} else {
		return false;
	}
	return true;
}

/* ---- the marked -------------------------------------------------------------------------- */

/* Marked itself, or in a marked folder? */
static bool is_meant(const struct model *m, struct bytes path)
{
	for (; path.len > 0; path = path_parent(path))
		if (pathset_has(&m->marks, path))
			return true;
	return false;
}

/* A known server's number + 1; 0 for others. */
static uint8_t server_number(const struct model *m, struct bytes name)
{
	const struct status *st = &m->news.status;
	for (size_t i = 0; i < st->n_servers && i < SETTLE_SERVERS; i++)
		if (bytes_eq(own_bytes(&st->servers[i].name), name))
			return (uint8_t)(i + 1);
	return 0;
}

static void add_marked(struct model *m, const msgpack_object *o)
{
	struct settle *s = &m->settle;
	const msgpack_object *list = wire_get(o, "versions");
	struct bytes path, name;
	wire_get_bytes(o, "path", &path);
	if (!is_meant(m, path) || s->n_marked >= SETTLE_MANY)
		return;
	GROW(s->marked, s->cap_marked, s->n_marked + 1);
	struct marked *k = &s->marked[s->n_marked++];
	*k = (struct marked){
		.path_from = s->paths.len,
		.path_len = path.len,
		.by_from = s->by.len,
		.n = (uint32_t)wire_count(list),
	};
	wire_get_uint(o, "stamp", UINT64_MAX, &k->stamp);
	buf_add(&s->paths, path.p, path.len);
	for (size_t i = 0; i < k->n; i++) {
		wire_get_str(wire_at(list, i), "replica", &name);
		buf_add_char(&s->by, (char)server_number(m, name));
	}
}

static void on_marked(struct model *m, const msgpack_object *result)
{
	struct settle *s = &m->settle;
	const msgpack_object *list = wire_get(result, "conflicts");
	size_t n = wire_count(list);
	if (m->dialog != DIALOG_MARKED)
		return;
	if (!result) {
		dialog_close(m);
		return;
	}
	for (size_t i = 0; i < n; i++)
		add_marked(m, wire_at(list, i));
	if (s->n_marked < SETTLE_MANY && on_next_page(s, result) && ask_marked(m))
		return;
	s->gathering = false;
	if (s->n_marked == 0) {
		dialog_close(m);
		model_say(m, LOOK_PLAIN, "Nothing that is marked is in conflict");
	}
}

/* Which version of it the choice means; its number of versions if none. */
static size_t chosen(const struct settle *s, const struct marked *k)
{
	switch (s->choose) {
	case CHOOSE_FIRST:
	case CHOOSE_BOTH:
		return 0;
	case CHOOSE_SECOND:
		return k->n == 2 ? 1 : k->n;
	case CHOOSE_REPLICA:
		break;
	}
	for (size_t i = 0; i < k->n; i++)
		if (s->by.data[k->by_from + i] == s->replica + 1)
			return i;
	return k->n;
}

/* How many of the marked a choice would settle. */
static size_t count_chosen(const struct settle *present, enum settle_choice choose, size_t replica)
{
	struct settle s = *present;
	size_t n = 0;
	s.choose = choose;
	s.replica = replica;
	for (size_t i = 0; i < s.n_marked; i++)
		n += chosen(&s, &s.marked[i]) < s.marked[i].n;
	return n;
}

static void choice_line(const struct model *m, struct lines *out, char letter, size_t n,
			const char *words, const struct own *name)
{
	char count[32];
	format_count(count, n);
	lines_next(out, n > 0 ? LOOK_PLAIN : LOOK_OLD);
	lines_number(out, (uint8_t)letter);
	lines_addf(out, "  %c  ", letter);
	if (name) {
		lines_addf(out, "keep ");
		lines_show(out, own_bytes(name), m->ascii);
		lines_addf(out, "'s version");
	}
	lines_addf(out, "%s  (%s)", words, count);
}

void settle_many_lines(const struct model *m, struct lines *out, int width)
{
	const struct settle *s = &m->settle;
	const struct status *st = &m->news.status;
	char n[32];
	format_count(n, s->n_marked);
	lines_next(out, LOOK_STRONG);
	lines_addf(out, "%s marked conflict%s", s->gathering ? "The" : n,
		   s->gathering || s->n_marked != 1 ? "s" : "");
	if (s->gathering) {
		lines_next(out, LOOK_OLD);
		lines_addf(out, "Asking the server ... %s", n);
		return;
	}
	if (!dialog_is_brief(m)) {
		lines_wrap(out, LOOK_PLAIN,
			   bytes_of("In each of them (and in how many it can be done):"),
			   (size_t)width);
		lines_next(out, LOOK_PLAIN);
	}
	choice_line(m, out, 'a', s->n_marked, "keep what has the name", NULL);
	choice_line(m, out, 'b', count_chosen(s, CHOOSE_SECOND, 0), "keep the other one of two",
		    NULL);
	choice_line(m, out, '2', s->n_marked, "keep all versions", NULL);
	for (size_t i = 0; i < st->n_servers && i < SETTLE_SERVERS; i++) {
		size_t of = count_chosen(s, CHOOSE_REPLICA, i);
		if (of > 0)
			choice_line(m, out, server_letter(i), of, "", &st->servers[i].name);
	}
	lines_next(out, LOOK_PLAIN);
	lines_next(out, LOOK_PLAIN);
	lines_addf(out, "  Esc  decide later");
	lines_wrap(out, LOOK_PLAIN,
		   bytes_of("Nothing is lost: what is replaced goes to the trash (6), and u brings "
			    "all of it back."),
		   (size_t)width);
}

/* ---- many requests ----------------------------------------------------------------------- */

static bool send_resolution(struct model *m, const struct marked *k, size_t version)
{
	struct settle *s = &m->settle;
	bool both = s->choose == CHOOSE_BOTH;
	struct buf p = {0};
	wire_map(&p, both ? 3 : 4);
	wire_put_bin(&p, "path", path_of_marked(s, k));
	wire_put_uint(&p, "stamp", k->stamp);
	wire_put_text(&p, "keep", both ? "both" : "this");
	if (!both)
		wire_put_uint(&p, "version", version);
	return model_ask_tagged(m, ASK_RESOLVE_MANY, low_serial(s), "resolve", &p);
}

static bool send_undo(struct model *m, uint64_t number)
{
	struct buf p = {0};
	wire_map(&p, 1);
	wire_put_uint(&p, "undo", number);
	return model_ask_tagged(m, ASK_UNDO, low_serial(&m->settle), "undo", &p);
}

static void say_result(struct model *m)
{
	struct settle *s = &m->settle;
	struct buf text = {0};
	char done[32], failed[32];
	format_count(done, s->done);
	format_count(failed, s->failed);
	if (s->undoing && s->done == 1 && s->undone.len > 0)
		buf_add(&text, s->undone.data, s->undone.len);
	else if (s->undoing)
		buf_addf(&text, "%s resolution%s undone", done, s->done == 1 ? "" : "s");
	else
		buf_addf(&text, "%s conflict%s settled; u undoes %s", done,
			 s->done == 1 ? "" : "s", s->done == 1 ? "it" : "them");
	if (s->failed > 0) {
		if (s->done == 0)
			buf_clear(&text);
		buf_addf(&text, "%s%s not %s: ", s->done == 0 ? "" : "; ", failed,
			 s->undoing ? "undone" : "settled");
		buf_add(&text, s->error.data, s->error.len);
	}
	model_say(m, s->failed > 0 ? LOOK_BAD : LOOK_GOOD, "%.*s", (int)text.len,
		  (const char *)text.data);
	buf_release(&text);
}

/* Sends what may be sent; says how it went when all answers are there. */
static void run(struct model *m)
{
	struct settle *s = &m->settle;
	size_t n = s->undoing ? s->n_undo : s->n_marked;
	bool can_send = true;
	while (can_send && s->next < n && s->flying < SETTLE_FLYING) {
		if (s->undoing) {
			can_send = send_undo(m, s->undo[n - 1 - s->next]);
		} else {
			const struct marked *k = &s->marked[s->next];
			size_t version = chosen(s, k);
			if (version >= k->n) {
				s->next++;
				s->passed++;
				continue;
			}
			can_send = send_resolution(m, k, version);
		}
		s->next += can_send;
		s->flying += can_send;
	}
	/* Without a connection nothing can be sent: settle_lost() ends it. */
	if (s->flying > 0 || s->next < n)
		return;
	s->running = false;
	say_result(m);
	if (s->undoing)
		s->n_undo = 0;
	else
		forget_marked(s);
	if (!s->undoing && s->failed == 0)
		pathset_release(&m->marks);
}

static void begin_run(struct model *m, bool undoing)
{
	struct settle *s = &m->settle;
	s->undoing = undoing;
	s->running = true;
	s->next = s->flying = s->done = s->failed = s->passed = 0;
	s->serial++;
	buf_clear(&s->error);
	buf_clear(&s->undone);
	run(m);
}

bool settle_many_key(struct model *m, uint32_t key)
{
	struct settle *s = &m->settle;
	if (s->gathering || !m->dialog_shown)
		return true;
	if (key == 'a')
		s->choose = CHOOSE_FIRST;
	else if (key == 'b')
		s->choose = CHOOSE_SECOND;
	else if (key == '2')
		s->choose = CHOOSE_BOTH;
	else if (key >= 'A' && key < 'A' + m->news.status.n_servers && key <= 'Z')
		s->choose = CHOOSE_REPLICA;
	else
		return false;
	s->replica = key - 'A';
	if (!model_allows(m, DO_UNDO)) {
		return true;
	} else if (count_chosen(s, s->choose, s->replica) == 0) {
		model_say(m, LOOK_PLAIN, "None of them has such a version");
	} else {
		dialog_close(m);
		s->n_undo = 0;
		begin_run(m, false);
	}
	return true;
}

static void on_one_of_many(struct model *m, const msgpack_object *result, const char *error)
{
	struct settle *s = &m->settle;
	struct bytes path;
	if (!s->running)
		return;
	s->flying--;
	if (!result) {
		s->failed++;
		if (s->error.len == 0)
			buf_addf(&s->error, "%s", error);
	} else {
		s->done++;
		if (!s->undoing)
			add_undo(s, result);
		else if (wire_get_bytes(result, "path", &path) && s->undone.len == 0) {
			buf_addf(&s->undone, "Undone: the versions of ");
			show(&s->undone, path, m->ascii);
			buf_addf(&s->undone, " are there again");
		}
	}
	run(m);
}

void settle_undo(struct model *m)
{
	struct settle *s = &m->settle;
	if (!m->connected) {
		model_say(m, LOOK_BAD, "There is no connection to the server");
	} else if (s->running || s->deciding) {
		model_say(m, LOOK_PLAIN, "The last resolution is still under way");
	} else {
		/* Nothing of ours: the last of the server. */
		if (s->n_undo == 0) {
			GROW(s->undo, s->cap_undo, 1);
			s->undo[s->n_undo++] = 0;
		}
		begin_run(m, true);
	}
}

void settle_lost(struct model *m)
{
	struct settle *s = &m->settle;
	if (s->running || s->deciding)
		model_say(m, LOOK_BAD, "The connection was lost while the server was at it; "
				       "what is not settled is still in conflict");
	s->running = s->deciding = s->gathering = false;
	s->serial++;
	forget_marked(s);
	if (m->dialog == DIALOG_CONFLICT || m->dialog == DIALOG_MARKED)
		dialog_close(m);
}

void settle_answer(struct model *m, unsigned what, unsigned low, const msgpack_object *result,
		   const char *error)
{
	if (low != low_serial(&m->settle))
		return;
	if (what == ASK_CONFLICT)
		on_conflict(m, result);
	else if (what == ASK_MARKED)
		on_marked(m, result);
	else if (what == ASK_RESOLVE)
		on_resolved(m, result);
	else if (what == ASK_RESOLVE_MANY || what == ASK_UNDO)
		on_one_of_many(m, result, error);
}
