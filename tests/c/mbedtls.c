/* A device with Mbed TLS: makes a key and a request for it, or is a TLS server that requires a
 * client certificate. Compiles with Mbed TLS 2.28 and 3.
 *
 *   mbedtls csr rsa|secp256r1|secp384r1|secp521r1 SUBJECT KEY_FILE > REQUEST
 *   mbedtls serve PORT CA_FILE CERTIFICATE_FILE KEY_FILE
 *   mbedtls version
 */
#include <stdio.h>
#include <string.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/rsa.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_csr.h>

static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context drbg;

static int failed(const char *what, int code) {
    fprintf(stderr, "%s: -0x%04x\n", what, (unsigned)-code);
    return 1;
}

static int generate(mbedtls_pk_context *key, const char *kind) {
    int code;
    if (strcmp(kind, "rsa") == 0) {
        code = mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA));
        if (code != 0) return code;
        return mbedtls_rsa_gen_key(mbedtls_pk_rsa(*key), mbedtls_ctr_drbg_random, &drbg, 2048,
                                   65537);
    }
    const mbedtls_ecp_curve_info *curve = mbedtls_ecp_curve_info_from_name(kind);
    if (curve == NULL) return -1;
    code = mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (code != 0) return code;
    return mbedtls_ecp_gen_key(curve->grp_id, mbedtls_pk_ec(*key), mbedtls_ctr_drbg_random, &drbg);
}

static int csr(const char *kind, const char *subject, const char *key_file) {
    static unsigned char text[16384];
    mbedtls_pk_context key;
    mbedtls_x509write_csr request;
    mbedtls_pk_init(&key);
    mbedtls_x509write_csr_init(&request);
    int code = generate(&key, kind);
    if (code != 0) return failed("key", code);
    code = mbedtls_pk_write_key_pem(&key, text, sizeof text);
    if (code != 0) return failed("key file", code);
    FILE *file = fopen(key_file, "w");
    if (file == NULL || fputs((char *)text, file) < 0 || fclose(file) != 0) return 1;
    mbedtls_x509write_csr_set_key(&request, &key);
    mbedtls_x509write_csr_set_md_alg(&request, MBEDTLS_MD_SHA256);
    code = mbedtls_x509write_csr_set_subject_name(&request, subject);
    if (code != 0) return failed("subject", code);
    mbedtls_x509write_csr_set_key_usage(&request, MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
    code = mbedtls_x509write_csr_pem(&request, text, sizeof text, mbedtls_ctr_drbg_random, &drbg);
    if (code != 0) return failed("request", code);
    return fputs((char *)text, stdout) < 0;
}

static int parse_key(mbedtls_pk_context *key, const char *file) {
#if MBEDTLS_VERSION_MAJOR < 3
    return mbedtls_pk_parse_keyfile(key, file, NULL);
#else
    return mbedtls_pk_parse_keyfile(key, file, NULL, mbedtls_ctr_drbg_random, &drbg);
#endif
}

static int serve(const char *port, const char *ca_file, const char *own_file,
                 const char *key_file) {
    static const char answer[] = "HTTP/1.0 200 OK\r\n\r\nin";
    mbedtls_net_context listener, client;
    mbedtls_ssl_config config;
    mbedtls_x509_crt ca, own;
    mbedtls_pk_context key;
    mbedtls_net_init(&listener);
    mbedtls_ssl_config_init(&config);
    mbedtls_x509_crt_init(&ca);
    mbedtls_x509_crt_init(&own);
    mbedtls_pk_init(&key);
    int code = mbedtls_x509_crt_parse_file(&ca, ca_file);
    if (code == 0) code = mbedtls_x509_crt_parse_file(&own, own_file);
    if (code == 0) code = parse_key(&key, key_file);
    if (code == 0)
        code = mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_SERVER,
                                           MBEDTLS_SSL_TRANSPORT_STREAM,
                                           MBEDTLS_SSL_PRESET_DEFAULT);
    if (code == 0) code = mbedtls_ssl_conf_own_cert(&config, &own, &key);
    if (code == 0) code = mbedtls_net_bind(&listener, "127.0.0.1", port, MBEDTLS_NET_PROTO_TCP);
    if (code != 0) return failed("start", code);
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &drbg);
    mbedtls_ssl_conf_ca_chain(&config, &ca, NULL);
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
    for (;;) {
        mbedtls_ssl_context stream;
        mbedtls_net_init(&client);
        mbedtls_ssl_init(&stream);
        code = mbedtls_net_accept(&listener, &client, NULL, 0, NULL);
        if (code != 0) return failed("accept", code);
        code = mbedtls_ssl_setup(&stream, &config);
        mbedtls_ssl_set_bio(&stream, &client, mbedtls_net_send, mbedtls_net_recv, NULL);
        if (code == 0) code = mbedtls_ssl_handshake(&stream);
        if (code == 0) {
            code = mbedtls_ssl_write(&stream, (const unsigned char *)answer, sizeof answer - 1);
            mbedtls_ssl_close_notify(&stream);
        }
        if (code < 0) failed("client", code);
        mbedtls_ssl_free(&stream);
        mbedtls_net_free(&client);
    }
}

int main(int count, char **arguments) {
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&drbg);
    int code = mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy, NULL, 0);
    if (code != 0) return failed("random numbers", code);
    if (count == 2 && strcmp(arguments[1], "version") == 0)
        return puts(MBEDTLS_VERSION_STRING) < 0;
    if (count == 5 && strcmp(arguments[1], "csr") == 0)
        return csr(arguments[2], arguments[3], arguments[4]);
    if (count == 6 && strcmp(arguments[1], "serve") == 0)
        return serve(arguments[2], arguments[3], arguments[4], arguments[5]);
    fprintf(stderr, "usage: see the first lines of mbedtls.c\n");
    return 2;
}
