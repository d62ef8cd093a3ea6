/* store/ip.h - addresses of version 4 and 6 as 16 bytes that sort as the addresses do.
 *
 * A version 4 address is its mapped form ::ffff:a.b.c.d and prints with dots, as Elasticsearch has
 * it. An `ip` field's dictionary holds the printed form, one for each address.
 */
#ifndef VZ_STORE_IP_H
#define VZ_STORE_IP_H

#include "base/mem.h"
#include "base/status.h"

#define VZ_IP_BYTES 16
#define VZ_IP_TEXT 48 /* bytes of the longest printed form with its NUL, and some */

/* VZ_BAD_ARGUMENT "'x' is not an IP string literal." */
enum vz_status vz_ip_parse(struct vz_slice text, unsigned char out[VZ_IP_BYTES],
                           struct vz_error *err);
/* "10.0.0.0/8", "2001:db8::/32": the first and the last address. VZ_BAD_ARGUMENT. */
enum vz_status vz_ip_parse_cidr(struct vz_slice text, unsigned char low[VZ_IP_BYTES],
                                unsigned char high[VZ_IP_BYTES], struct vz_error *err);
/* The canonical text, with a NUL: "192.168.0.1", "2001:db8::1". */
void vz_ip_print(const unsigned char address[VZ_IP_BYTES], char out[VZ_IP_TEXT]);

#endif
