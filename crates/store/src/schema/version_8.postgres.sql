-- Notifications: destinations, their places in the logs, conditions, and undelivered events.
CREATE TABLE "notification_destinations" (
    "name" TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    "begun_on" BIGINT NOT NULL,
    "failing_since" BIGINT,
    "attempts" BIGINT NOT NULL CHECK ("attempts" >= 0),
    "attempt_on" BIGINT,
    "error" TEXT COLLATE "C",
    "delivered" BIGINT NOT NULL CHECK ("delivered" >= 0),
    "delivered_on" BIGINT,
    "undelivered" BIGINT NOT NULL CHECK ("undelivered" >= 0)
);
CREATE TABLE "notification_cursors" (
    "destination" TEXT COLLATE "C" NOT NULL,
    "log" BIGINT NOT NULL,
    "number" BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    PRIMARY KEY ("destination", "log")
);
CREATE TABLE "notification_conditions" (
    "number" BIGINT NOT NULL PRIMARY KEY,
    "id" BYTEA NOT NULL,
    "kind" SMALLINT NOT NULL,
    "object" BYTEA NOT NULL,
    "since" BIGINT NOT NULL,
    "account" BYTEA NOT NULL,
    "at" BIGINT NOT NULL,
    "name" TEXT COLLATE "C" NOT NULL,
    "count" BIGINT NOT NULL CHECK ("count" >= 0),
    "certificates" BYTEA NOT NULL
);
CREATE UNIQUE INDEX "notification_conditions_by_object" ON "notification_conditions" ("object", "kind", "since");
CREATE INDEX "notification_conditions_by_time" ON "notification_conditions" ("at");
CREATE TABLE "notifications_undelivered" (
    "destination" TEXT COLLATE "C" NOT NULL,
    "log" BIGINT NOT NULL,
    "number" BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    "id" BYTEA NOT NULL,
    "kind" SMALLINT NOT NULL,
    "object" BYTEA NOT NULL,
    "set_aside_on" BIGINT NOT NULL,
    "error" TEXT COLLATE "C" NOT NULL,
    "is_retried" BOOLEAN NOT NULL,
    PRIMARY KEY ("destination", "log", "number")
);
CREATE INDEX "notifications_undelivered_by_time" ON "notifications_undelivered" ("set_aside_on", "destination", "log", "number");
CREATE INDEX "notifications_undelivered_retried" ON "notifications_undelivered" ("destination", "log", "number") WHERE is_retried;
