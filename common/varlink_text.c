/*
 * The interface files, taken in by the assembler: the file that people read
 * is what a daemon answers with. (The Makefile knows of the dependency.)
 */
#include "common/varlink_text.h"

#define TEXT(symbol, file)                                                     \
	__asm__(".section .rodata\n"                                           \
		".global " #symbol "\n" #symbol ":\n"                          \
		".incbin \"" file "\"\n"                                       \
		".byte 0\n"                                                    \
		".previous\n")

TEXT(varlink_text_xmppd, "common/xmppd.varlink");
TEXT(varlink_text_callbridge, "common/callbridge.varlink");
