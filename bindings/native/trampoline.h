// Go cannot call a C function pointer: one line for each slot of the table.
#ifndef GRAFT_TRAMPOLINE_H
#define GRAFT_TRAMPOLINE_H

#include "../../csrc/include/graft/graft.h"

typedef const graft_api* (*graft_api_function)(void);
static inline const graft_api* graft_call_api(void* f) { return ((graft_api_function)f)(); }

static inline int32_t graft_call_status_code(const graft_api* a, graft_status* s) { return a->status_code(s); }
static inline const char* graft_call_status_message(const graft_api* a, graft_status* s) { return a->status_message(s); }
static inline void graft_call_status_free(const graft_api* a, graft_status* s) { a->status_free(s); }
static inline graft_status* graft_call_device_info(const graft_api* a, int32_t d, graft_device_info* i) { return a->device_info(d, i); }
static inline graft_status* graft_call_context_create(const graft_api* a, graft_context** c, const graft_context_options* o) { return a->context_create(c, o); }
static inline void graft_call_context_destroy(const graft_api* a, graft_context* c) { a->context_destroy(c); }
static inline graft_status* graft_call_allocate(const graft_api* a, graft_context* c, void** p, int64_t n) { return a->allocate(c, p, n); }
static inline void graft_call_release(const graft_api* a, graft_context* c, void* p, int64_t n) { a->release(c, p, n); }
static inline graft_status* graft_call_upload(const graft_api* a, graft_context* c, void* d, const void* s, int64_t n) { return a->upload(c, d, s, n); }
static inline graft_status* graft_call_download(const graft_api* a, graft_context* c, void* d, const void* s, int64_t n) { return a->download(c, d, s, n); }
static inline graft_status* graft_call_synchronize(const graft_api* a, graft_context* c) { return a->synchronize(c); }
static inline int graft_can_capture(const graft_api* a) { return a->capture_begin && a->capture_end && a->graph_launch && a->graph_destroy; }
static inline graft_status* graft_call_capture_begin(const graft_api* a, graft_context* c) { return a->capture_begin(c); }
static inline graft_status* graft_call_capture_end(const graft_api* a, graft_context* c, void** g) { return a->capture_end(c, g); }
static inline graft_status* graft_call_graph_launch(const graft_api* a, graft_context* c, void* g) { return a->graph_launch(c, g); }
static inline void graft_call_graph_destroy(const graft_api* a, graft_context* c, void* g) { a->graph_destroy(c, g); }
static inline int graft_has_clock(const graft_api* a) { return a->mark && a->elapsed; }
static inline graft_status* graft_call_mark(const graft_api* a, graft_context* c, int32_t i) { return a->mark(c, i); }
static inline graft_status* graft_call_elapsed(const graft_api* a, graft_context* c, int32_t from, int32_t to, double* s) { return a->elapsed(c, from, to, s); }
static inline graft_status* graft_call_device_count(const graft_api* a, int32_t* n) { return a->device_count(n); }

#define GRAFT_TRAMPOLINE(op) \
    static inline int graft_has_##op(const graft_api* a) { return a->op != 0; } \
    static inline graft_status* graft_call_##op(const graft_api* a, graft_context* c, const graft_##op##_args* args) { return a->op(c, args); }
GRAFT_EACH_OP(GRAFT_TRAMPOLINE)
#undef GRAFT_TRAMPOLINE

// The names of the operations, NULL after the last one, and whether a table has each.
#define GRAFT_NAME(op) #op,
static inline const char* graft_operation(int i) {
    static const char* const names[] = {GRAFT_EACH_OP(GRAFT_NAME) 0};
    return names[i];
}
#undef GRAFT_NAME
#define GRAFT_HAS(op) a->op != 0,
static inline int graft_has_operation(const graft_api* a, int i) {
    const int has[] = {GRAFT_EACH_OP(GRAFT_HAS)};
    return has[i];
}
#undef GRAFT_HAS

#endif
