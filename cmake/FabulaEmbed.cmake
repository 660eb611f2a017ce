# How an assembler source that embeds files begins and ends: with a section of read-only data, in ELF and in COFF.
set(FABULA_EMBED_BEGIN ".section .rodata\n")
set(FABULA_EMBED_END ".section .note.GNU-stack,\"\",%progbits\n")
if(WIN32)
  set(FABULA_EMBED_BEGIN ".section .rdata,\"dr\"\n")
  set(FABULA_EMBED_END "")
endif()
