import { writes } from "../../protocol/compatibility.ts";
import type { MailboxOptions } from "../../protocol/control/pidbox.ts";
import type { Settings } from "../app/settings.ts";

/** What the settings `controlExchange` and `controlQueue…` say about mailboxes. */
export function mailboxOptions(settings: Settings): MailboxOptions {
  return {
    namespace: settings.controlExchange,
    queueTtl: settings.controlQueueTtl,
    queueExpires: settings.controlQueueExpires,
    durable: settings.controlQueueDurable,
    exclusive: settings.controlQueueExclusive ?? writes(settings.compatibility, "exclusiveMailbox"),
  };
}
