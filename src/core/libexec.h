/* Where the keeper and the guest's parts are. */
#ifndef PSB_CORE_LIBEXEC_H
#define PSB_CORE_LIBEXEC_H

/* An absolute path the caller frees; NULL when out of memory. `wished` may be NULL. The directory
 * need not exist: the engine says so when it starts. */
char *libexec_find(const char *wished);

#endif
