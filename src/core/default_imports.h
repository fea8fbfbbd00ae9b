/*
 * The import list of the default policy, as JSON text: for the policy itself, and for an engine that
 * makes its templates ahead of any policy and lets them expect the commonest list.
 */
#ifndef PSB_CORE_DEFAULT_IMPORTS_H
#define PSB_CORE_DEFAULT_IMPORTS_H

#define DEFAULT_DENY_LIST                                                                          \
	"\"subprocess\",\"_posixsubprocess\",\"socket\",\"_socket\",\"socketserver\",\"ssl\","     \
	"\"_ssl\",\"ctypes\",\"_ctypes\",\"cffi\",\"_cffi_backend\",\"multiprocessing\","          \
	"\"_multiprocessing\",\"pty\",\"http\",\"urllib.request\",\"ftplib\",\"smtplib\","         \
	"\"poplib\",\"imaplib\",\"telnetlib\",\"nntplib\",\"xmlrpc\",\"webbrowser\""

/* As job_prepare() writes it for a request. */
#define DEFAULT_IMPORTS                                                                            \
	"{\"mode\":\"deny\",\"names\":[" DEFAULT_DENY_LIST "],\"policy\":\"default\"}"

#endif
