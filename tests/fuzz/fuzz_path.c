/* Fuzzes paths: two of them, and a counter. What passes the check is what the disk layer relies on. */
#include "config.h"
#include "fuzz.h"
#include "path.h"

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void must_be_safe(struct bytes path)
{
	MUST(path.len && path.len <= PATH_BYTES_MAX && path.p[0] != '/' &&
	     path.p[path.len - 1] != '/' && !memchr(path.p, 0, path.len));
	size_t start = 0, depth = 0;
	for (size_t i = 0; i <= path.len; i++) {
		if (i < path.len && path.p[i] != '/')
			continue;
		size_t n = i - start;
		MUST(n && n <= PATH_COMPONENT_MAX);
		MUST(!(n == 1 && path.p[start] == '.'));
		MUST(!(n == 2 && path.p[start] == '.' && path.p[start + 1] == '.'));
		start = i + 1;
		depth++;
	}
	MUST(depth == path_depth(path) && depth <= PATH_DEPTH_MAX);
	MUST(path.len < 6 || memcmp(path.p, ".tutti", 6) != 0 ||
	     (path.len > 6 && path.p[6] != '/'));
	struct bytes parent = path_parent(path), base = path_base(path);
	MUST(parent.len + base.len + (parent.len ? 1 : 0) == path.len);
	MUST(path_is_under(path, parent) && !path_is_under(path, path) && !path_is_under(parent, path));
	MUST(path_compare(parent, path) < 0 && path_compare(path, path) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint64_t counter = input_number(&in, 8);
	struct bytes a = input_bytes(&in, true), b = {in.p, in.len};
	enum path_error error = path_check(a);
	MUST(*path_error_text(error));
	int ab = sign(path_compare(a, b)), ba = sign(path_compare(b, a));
	MUST(ab == -ba);
	path_is_under(a, b);
	path_base(a);
	path_parent(a);
	struct buf copy = {0};
	path_conflict_name(&copy, a, "0123abcd", counter, 0);
	if (error == PATH_OK) {
		must_be_safe(a);
		struct bytes name = {copy.data, copy.len};
		enum path_error made = path_check(name);
		MUST(made == PATH_OK || made == PATH_TOO_LONG);
		if (made == PATH_OK) {
			must_be_safe(name);
			/* Conflict parts never pile up. (A name that was cut inside a character may be cut
			 * elsewhere the second time.) */
			struct buf again = {0};
			unsigned zeros = (unsigned)(counter % (CONFLICT_ZEROS_MAX + 1));
			path_conflict_name(&again, name, "0123abcd", counter, zeros);
			MUST(again.len <= copy.len + zeros);
			buf_release(&again);
		}
	}
	buf_release(&copy);
	return 0;
}
