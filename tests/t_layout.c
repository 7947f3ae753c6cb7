/* Tests of the arrangement of the screen at every size. */
#include "config.h"
#include "layout.h"
#include "suite.h"

static struct layout at(int width, int height, size_t servers, size_t transfers)
{
	struct layout l;
	layout_compute(&l, width, height,
		       &(struct layout_facts){.servers = servers, .transfers = transfers});
	return l;
}

/* All bands stand below each other in this order, without gaps, and fill the screen. */
static void check_bands(const struct layout *l)
{
	const struct band *bands[] = {&l->title,  &l->servers,   &l->heads, &l->body, &l->detail,
				      &l->status, &l->transfers, &l->event, &l->keys};
	int y = 0;
	for (size_t i = 0; i < ARRAY_LEN(bands); i++) {
		ck_assert_int_ge(bands[i]->h, 0);
		ck_assert_int_eq(bands[i]->y, y);
		y += bands[i]->h;
	}
	ck_assert_int_eq(y, l->height);
	if (l->height > 0)
		ck_assert_int_ge(l->body.h, 1);
}

static void check_columns(const struct layout *l)
{
	bool used[256] = {false};
	for (size_t c = 0; c < COLUMNS_N; c++) {
		ck_assert_int_ge(l->columns[c].width, 0);
		for (int x = 0; x < l->columns[c].width; x++) {
			ck_assert_int_ge(l->columns[c].x + x, 0);
			ck_assert_int_lt(l->columns[c].x + x, l->width);
			ck_assert(!used[l->columns[c].x + x]);
			used[l->columns[c].x + x] = true;
		}
	}
	if (l->width > 0)
		ck_assert_int_ge(l->columns[COLUMN_NAME].width, 1);
	/* The name keeps its columns while another could go. */
	if (l->columns[COLUMN_NAME].width < 16)
		for (size_t c = 1; c < COLUMNS_N; c++)
			ck_assert_int_eq(l->columns[c].width,
					 c == COLUMN_CELLS ? l->columns[c].width : 0);
}

START_TEST(every_size_is_filled)
{
	static const size_t servers[] = {0, 1, 3, 4, 5, 8, 9, 12};
	for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
		for (int w = 0; w <= 210; w++) {
			struct layout l = at(w, 30, servers[i], 0);
			check_columns(&l);
		}
		for (int h = 0; h <= 64; h++)
			for (int w = 0; w <= 120; w += 20)
				for (size_t transfers = 0; transfers <= 4; transfers++) {
					struct layout l = at(w, h, servers[i], transfers);
					check_bands(&l);
				}
	}
}
END_TEST

START_TEST(lines_come_with_room)
{
	for (int h = 1; h <= 64; h++) {
		struct layout l = at(80, h, 3, 0);
		ck_assert_int_eq(l.title.h, h >= 6);
		ck_assert_int_eq(l.heads.h, h >= 5);
		ck_assert_int_eq(l.keys.h, h >= 8);
		ck_assert_int_eq(l.event.h, h >= 10);
		ck_assert_int_eq(l.status.h, h >= 3);
		ck_assert_int_eq(l.detail.h, h >= 28);
	}
}
END_TEST

START_TEST(as_drawn_in_the_design)
{
	struct layout l = at(100, 30, 3, 3);
	ck_assert_int_eq(l.servers_form, SERVERS_LINES);
	ck_assert_int_eq(l.body.h, 18);
	ck_assert_int_eq(l.transfers.h, 3);
	l = at(100, 30, 5, 0);
	ck_assert_int_eq(l.servers_form, SERVERS_CHIPS);
	l = at(80, 24, 3, 2);
	ck_assert_int_eq(l.servers_form, SERVERS_CHIPS);
	ck_assert_int_eq(l.body.h, 17);
	ck_assert_int_eq(l.transfers.h, 1);
	ck_assert_int_eq(l.columns[COLUMN_DATE].width, 11);
	l = at(40, 12, 3, 2);
	ck_assert_int_eq(l.servers_form, SERVERS_LETTERS);
	ck_assert_int_eq(l.body.h, 7);
	ck_assert(l.transfers_in_status);
	ck_assert_int_eq(l.style.cells, CELLS_TIGHT);
	ck_assert_int_eq(l.columns[COLUMN_DATE].width, 0);
	ck_assert_int_eq(l.columns[COLUMN_STATE].width, 0);
	l = at(29, 12, 3, 0);
	ck_assert_int_eq(l.columns[COLUMN_SIZE].width, 0);
	l = at(23, 12, 3, 0);
	ck_assert_int_eq(l.style.cells, CELLS_WORST);
	l = at(100, 30, 9, 0);
	ck_assert_int_eq(l.style.cells, CELLS_COUNT);
}
END_TEST

int main(void)
{
	Suite *s = suite_new("layout");
	TCase *t = suite_case(s, "layout", NULL, NULL);
	tcase_add_test(t, every_size_is_filled);
	tcase_add_test(t, lines_come_with_room);
	tcase_add_test(t, as_drawn_in_the_design);
	return suite_run(s);
}
