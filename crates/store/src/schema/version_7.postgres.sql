-- Invites, and the certificates that were issued for them.
CREATE TABLE "invites" (
    "id" BYTEA NOT NULL PRIMARY KEY,
    "zone" BYTEA NOT NULL REFERENCES "zones" ("id"),
    "name" TEXT COLLATE "C" NOT NULL,
    "device" TEXT COLLATE "C" NOT NULL,
    "lifetime" BIGINT,
    "uses_max" BIGINT NOT NULL CHECK ("uses_max" >= 0),
    "hash" BYTEA NOT NULL,
    "creator_kind" SMALLINT NOT NULL,
    "creator" BYTEA,
    "created_on" BIGINT NOT NULL,
    "expires_on" BIGINT NOT NULL,
    "withdrawn_on" BIGINT,
    "wrong_secrets" BIGINT NOT NULL CHECK ("wrong_secrets" >= 0),
    "digest" BIGINT
);
CREATE INDEX "invites_by_zone" ON "invites" ("zone", "created_on", "id");
CREATE INDEX "invites_by_end" ON "invites" ("zone", "expires_on", "id");
CREATE TABLE "invite_uses" (
    "invite" BYTEA NOT NULL REFERENCES "invites" ("id"),
    "number" BIGINT NOT NULL,
    "position" BIGINT NOT NULL REFERENCES "certificates" ("position"),
    "digest" BIGINT,
    PRIMARY KEY ("invite", "number")
);
