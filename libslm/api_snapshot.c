/* The public entry points of snapshots. */
#include "api.h"

#include "run/snapshot.h"

static slm_status check_flags(uint32_t flags, const char *what, slm_error *error) {
    if (flags == 0)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_ARG, "flags", SLM_NO_OFFSET,
                    "%s.flags: got 0x%x, which has unknown bits", what, flags);
}

slm_status slm_session_save(slm_session *session, const char *path,
                            const slm_snapshot_options *options, slm_error *error) {
    static const slm_snapshot_options defaults = {.struct_size = sizeof defaults};
    slm_snapshot_options o;
    REQUIRE(session);
    REQUIRE(path);
    SLM_TRY(slm_copy_options(&o, sizeof o, &defaults, options, "slm_snapshot_options", error));
    SLM_TRY(check_flags(o.flags, "slm_snapshot_options", error));
    if (o.attachment_len > 0)
        REQUIRE(o.attachment);
    SLM_TRY(slm_session_check_free(session, error));
    return slm_snapshot_save(session, path, &o, error);
}

slm_status slm_session_load(slm_session *session, const char *path,
                            const slm_snapshot_load_options *options, slm_snapshot_info *info,
                            slm_error *error) {
    static const slm_snapshot_load_options defaults = {.struct_size = sizeof defaults};
    slm_snapshot_load_options o;
    slm_snapshot_info i;
    slm_file *file;
    REQUIRE(session);
    REQUIRE(path);
    if (info != NULL)
        SLM_TRY(slm_check_info(info, "slm_snapshot_info", error));
    SLM_TRY(slm_copy_options(&o, sizeof o, &defaults, options, "slm_snapshot_load_options", error));
    SLM_TRY(check_flags(o.flags, "slm_snapshot_load_options", error));
    SLM_TRY(slm_session_check_free(session, error));
    slm_host *host = session->cache->host;
    SLM_TRY(slm_file_open(host, path, SLM_LOAD_AUTO, NULL, NULL, &file, error));
    slm_status status = slm_snapshot_load(session, file, &o, &i, error);
    slm_file_close(host, file);
    if (status != SLM_OK || info == NULL)
        return status;
    return slm_copy_info(info, &i, sizeof i, "slm_snapshot_info", error);
}

static slm_status read_info(slm_host *host, const slm_file *file, slm_snapshot_info *info,
                            slm_error *error) {
    slm_snapshot_reader *reader;
    slm_snapshot_model model;
    slm_snapshot_session session;
    SLM_TRY(slm_snapshot_open(host, file, NULL, &reader, error));
    slm_status status = slm_snapshot_read_state(reader, &model, &session, error);
    if (status == SLM_OK)
        slm_snapshot_fill_info(reader, &model, &session, info);
    slm_snapshot_close(reader);
    return status;
}

slm_status slm_snapshot_get_info(const char *path, slm_snapshot_info *info, slm_error *error) {
    slm_host host;
    slm_file *file;
    slm_snapshot_info i;
    REQUIRE(path);
    REQUIRE(info);
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    SLM_TRY(slm_file_open(&host, path, SLM_LOAD_AUTO, NULL, NULL, &file, error));
    slm_status status = read_info(&host, file, &i, error);
    slm_file_close(&host, file);
    return status == SLM_OK ? slm_copy_info(info, &i, sizeof i, "slm_snapshot_info", error)
                            : status;
}
