#ifndef CALLBRIDGE_SETTINGS_H
#define CALLBRIDGE_SETTINGS_H

#include "common/conf.h"

/* What is kept in ROOT/callbridge.json. */
enum setting {
	SETTING_NAME,   /* "cb1" */
	SETTING_DOMAIN, /* "example.com" */
	SETTING_SERVER, /* unset: by DNS SRV */
	SETTING_SECRET,
	SETTING_TRUST_FILE, /* its name in the pki folder */
	SETTING_TRUST,      /* its contents, PEM */
	SETTING_ZONES,      /* as resolver_make_zone() makes them */
	SETTING_RECORDS,    /* as resolver_make_record() makes them */
	SETTINGS
};

struct resolver;

/* The path is ROOT/callbridge.json. */
struct conf *settings_new(const char *path);

/* Reads the file and gives zones and records to the resolver. */
int settings_load(
    struct conf *conf, struct resolver *resolver, struct error *e);
/* What the settings say of zones and records comes into force. */
void settings_apply_dns(const struct conf *conf, struct resolver *resolver);

/*
 * The forms in which they are kept, from what was typed; the caller frees. NULL
 * and an error where it makes no sense.
 */
char *settings_make_name(const char *typed, struct error *e);
char *settings_make_domain(const char *typed, struct error *e);

#endif
