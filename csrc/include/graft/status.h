// What a fallible function returns.
//
// NULL is success. Anything else is an object that the caller owns and frees;
// it holds a code and one line of text. Nothing is thread-local, nothing exits
// or aborts, no exception crosses this interface.
#ifndef GRAFT_STATUS_H
#define GRAFT_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct graft_status graft_status;

// The codes are those of absl and PJRT that can occur here.
typedef enum graft_code {
    GRAFT_INVALID_ARGUMENT = 3,    // a shape, a type or a range that the caller got wrong
    GRAFT_RESOURCE_EXHAUSTED = 8,  // memory
    GRAFT_UNIMPLEMENTED = 12,      // no such type or size on this device
    GRAFT_INTERNAL = 13,           // a fault of the library, or of the driver
    GRAFT_UNAVAILABLE = 14,        // no such device, no driver
} graft_code;

#ifdef __cplusplus
}
#endif
#endif
