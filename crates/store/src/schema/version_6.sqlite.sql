-- Certificates that a newer one of their line has replaced.
CREATE TABLE "replacements" (
    "position" INTEGER NOT NULL PRIMARY KEY REFERENCES "certificates" ("position"),
    "successor" INTEGER NOT NULL REFERENCES "certificates" ("position"),
    "replaced_on" INTEGER NOT NULL,
    "renewals" INTEGER NOT NULL CHECK ("renewals" >= 0),
    "revoke_on" INTEGER
);
CREATE UNIQUE INDEX "replacements_by_successor" ON "replacements" ("successor");
CREATE INDEX "replacements_due" ON "replacements" ("revoke_on") WHERE revoke_on IS NOT NULL;
