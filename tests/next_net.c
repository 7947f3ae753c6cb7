/*
 * Owns the difference between tuttid and tests/next_tuttid, a whole server that speaks the next version of
 * the protocol: this takes the place of server/net.c in it.
 */
#include "config.h"
#include "message.h"

#undef PROTOCOL_VERSION
#define PROTOCOL_VERSION 2u

#include "net.c"
