/* Owns where sockets and state are by default. */
#include "config.h"
#include "places.h"

#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* An environment variable that names a folder; NULL if unset, empty or relative. */
static const char *folder_variable(const char *name)
{
	const char *value = getenv(name);
	return value && *value == '/' ? value : NULL;
}

static bool is_folder(const char *path)
{
	struct stat st;
	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

char *place_state(void)
{
	const char *state = folder_variable("XDG_STATE_HOME");
	if (state)
		return xasprintf("%s/tutti", state);
	const char *home = folder_variable("HOME");
	if (!home) {
		const struct passwd *pw = getpwuid(getuid());
		home = pw && pw->pw_dir && *pw->pw_dir == '/' ? pw->pw_dir : NULL;
	}
	return home ? xasprintf("%s/.local/state/tutti", home) : NULL;
}

char *place_client(void)
{
	char *state = place_state();
	char *client = state ? xasprintf("%s/.client", state) : NULL;
	free(state);
	return client;
}

size_t place_sockets(char *out[PLACES_MAX])
{
	size_t n = 0;
	const char *runtime = folder_variable("XDG_RUNTIME_DIR");
	char *user = xasprintf("/run/user/%ju", (uintmax_t)getuid());
	char *state = place_state();
	if (runtime && is_folder(runtime))
		out[n++] = xasprintf("%s/tutti", runtime);
	if ((!runtime || strcmp(runtime, user)) && is_folder(user))
		out[n++] = xasprintf("%s/tutti", user);
	if (state)
		out[n++] = state;
	free(user);
	return n;
}

size_t place_socket_path_max(void)
{
	return sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
}
