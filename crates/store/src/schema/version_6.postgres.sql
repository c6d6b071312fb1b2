-- Certificates that a newer one of their line has replaced.
CREATE TABLE "replacements" (
    "position" BIGINT NOT NULL PRIMARY KEY REFERENCES "certificates" ("position"),
    "successor" BIGINT NOT NULL REFERENCES "certificates" ("position"),
    "replaced_on" BIGINT NOT NULL,
    "renewals" BIGINT NOT NULL CHECK ("renewals" >= 0),
    "revoke_on" BIGINT
);
CREATE UNIQUE INDEX "replacements_by_successor" ON "replacements" ("successor");
CREATE INDEX "replacements_due" ON "replacements" ("revoke_on", "position")
WHERE revoke_on IS NOT NULL;
