/* Shared libraries that are loaded when they are first needed. Only builds with CUDA have this. */
#ifndef SLM_BASE_LIBRARY_H
#define SLM_BASE_LIBRARY_H

#ifdef SLM_HAVE_CUDA

/* The library of that name, from where the system looks for libraries; NULL when it cannot be loaded.
 * Its code stays for as long as the process does. */
void *slm_library_open(const char *name);
void slm_library_close(void *library); /* NULL is fine */
/* Stores the address of a function in *function (a pointer to a pointer to one); 0: there is none. */
int slm_library_find(void *library, const char *symbol, void *function);

#endif
#endif
