/* Owns which wrong rule is switched on in the core that the simulator links. */
#include "config.h"
#include "sim.h"

#include "mutants.h"

enum mutant engine_mutant;

static const char *const names[] = {
	"",
#define X(id, name) name,
	MUTANT_NAMES(X)
#undef X
};

bool mutant_set(const char *name)
{
	for (size_t i = 1; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0) {
			engine_mutant = (enum mutant)i;
			return true;
		}
	return false;
}

void mutants_print(FILE *to)
{
	for (size_t i = 1; i < ARRAY_LEN(names); i++)
		fprintf(to, "%s\n", names[i]);
}
