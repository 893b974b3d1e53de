#ifndef COMMON_VARLINK_TEXT_H
#define COMMON_VARLINK_TEXT_H

/* The contents of the .varlink files, for struct varlink_interface. */
extern const char varlink_text_xmppd[];
extern const char varlink_text_callbridge[];

#endif
