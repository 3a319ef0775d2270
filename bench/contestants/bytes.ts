/** The bytes of one task as celeriac and Celery send it, for drivers that know neither. */

const BODY = '[[1, 1], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]';

/** Headers of protocol 2, for an id. */
export function headers(id: string): Record<string, unknown> {
  return {
    lang: "py",
    task: "bench.add",
    id,
    shadow: null,
    eta: null,
    expires: null,
    group: null,
    group_index: null,
    retries: 0,
    timelimit: [null, null],
    root_id: id,
    parent_id: null,
    argsrepr: "(1, 1)",
    kwargsrepr: "{}",
    origin: "gen1@localhost",
    ignore_result: false,
    replaced_task_nesting: 0,
    stamped_headers: null,
    stamps: {},
  };
}

export const body: Buffer = Buffer.from(BODY);

/** kombu's Redis envelope of one task. */
export function envelope(id: string): string {
  return JSON.stringify({
    body: body.toString("base64"),
    "content-encoding": "utf-8",
    "content-type": "application/json",
    headers: headers(id),
    properties: {
      correlation_id: id,
      reply_to: "01a8c7d2-3c5b-3f7e-9d43-5c1d2e3f4a5b",
      delivery_mode: 2,
      delivery_info: { exchange: "", routing_key: "celery" },
      priority: 0,
      body_encoding: "base64",
      delivery_tag: id,
    },
  });
}

export function envelopeSize(): number {
  return envelope("00000000-0000-0000-0000-000000000000").length;
}

/** A stored result, its id apart. */
export const RESULT =
  '{"status": "SUCCESS", "result": 0, "traceback": null, "children": [], "date_done": "2031-05-06T07:08:09.123456+00:00", "task_id": "00000000-0000-0000-0000-000000000000"}';
