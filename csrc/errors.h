/* SPDX-License-Identifier: Apache-2.0 */
/* The only list of error codes and their sentences. Codes never change meaning. */
#ifndef ZNL_ERRORS_H
#define ZNL_ERRORS_H

#define ZNL_ERRORS(X)                                                                              \
    X(TRUNCATED, -1, "input ends inside a structure it announced")                                 \
    X(BAD_VALUE, -2, "a field lies outside its documented range")                                  \
    X(BAD_TABLE, -3, "a frequency table is not well formed")                                       \
    X(NO_ROOM, -4, "output or scratch is smaller than the documented bound")                       \
    X(NO_ISA, -5, "this CPU or this build lacks the requested instruction set")                    \
    X(BAD_SIZE, -6, "sections do not add up to the size of the body")                              \
    X(BAD_STATE, -7, "entropy decoding does not end in the state it must end in")                  \
    X(BAD_PATCH, -8, "a patch is out of order or out of range")                                    \
    X(BAD_PADDING, -9, "bits or bytes that must be zero are not")                                  \
    X(CHECKSUM, -10, "decoded bytes do not have the stated checksum")                              \
    X(BAD_CALL, -11, "the caller broke the contract of the function")                              \
    X(TABLE_NAME, -12, "two different frequency tables have one name, a made-up XXH3 collision")

enum {
    ZNL_OK = 0,
#define ZNL_ERROR_CODE(name, code, text) ZNL_E_##name = (code),
    ZNL_ERRORS(ZNL_ERROR_CODE)
#undef ZNL_ERROR_CODE
};

#endif
