import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { queue } from "../../../protocol/transport/entities.ts";
import { AmqpBroker } from "../../../src/brokers/amqp/amqp-broker.ts";
import type { BrokerOptions } from "../../../src/brokers/broker.ts";
import { Celery, OperationalError } from "../../../src/index.ts";
import { brokerOptions, consume, publishMany } from "../../exercise/broker.ts";
import { freePort } from "../../servers/free-port.ts";
import { startProxy } from "../../servers/proxy.ts";
import { type RabbitServer, startRabbit } from "../../servers/rabbitmq.ts";
import { type Certificates, makeCertificates } from "../../support/certificates.ts";
import { eventually } from "../../support/eventually.ts";

let certificates: Certificates;
let server: RabbitServer;
let port: number;
const opened: AsyncDisposable[] = [];

beforeAll(async () => {
  certificates = makeCertificates();
  port = await freePort();
  const { ca, certificate, key } = certificates;
  server = await startRabbit([
    `listeners.ssl.default = ${port}`,
    `ssl_options.cacertfile = ${ca}`,
    `ssl_options.certfile = ${certificate}`,
    `ssl_options.keyfile = ${key}`,
    "ssl_options.verify = verify_peer",
    "ssl_options.fail_if_no_peer_cert = false",
  ]);
});

afterAll(async () => {
  await server.stop();
  rmSync(certificates.folder, { recursive: true });
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one[Symbol.asyncDispose]()));
});

const url = (host = "127.0.0.1", at = port): string => `amqps://guest:guest@${host}:${at}//`;

async function connect(options: Partial<BrokerOptions>): Promise<AmqpBroker> {
  const broker = new AmqpBroker({ ...brokerOptions({ urls: () => [] }), ...options });
  opened.push(broker);
  await broker.connect();
  return broker;
}

const ways: [how: string, options: () => Partial<BrokerOptions>][] = [
  ["from the URL", () => ({ urls: [`${url()}?ssl_ca_certs=${encodeURIComponent(certificates.ca)}`] })],
  ["from brokerUseSsl", () => ({ urls: [url()], useSsl: { ca_certs: certificates.ca, cert_reqs: "CERT_REQUIRED" } })],
  [
    "from brokerUseSsl for a URL that says amqp://",
    () => ({ urls: [url().replace("amqps", "amqp")], useSsl: { ca_certs: certificates.ca } }),
  ],
  ["for a host by its name", () => ({ urls: [url("localhost")], useSsl: { ca_certs: certificates.ca } })],
  [
    "with a certificate of the client's",
    () => ({
      urls: [url()],
      useSsl: { ca_certs: certificates.ca, certfile: certificates.certificate, keyfile: certificates.key },
    }),
  ],
];

it.each(ways)("takes the certificate authority %s", async (_, options) => {
  const broker = await connect(options());
  expect(await broker.size("nothing")).toBe(0);
  expect(broker.url).not.toContain("guest:guest");
});

it("checks nothing with CERT_NONE", async () => {
  await connect({ urls: [`${url()}?ssl_cert_reqs=CERT_NONE`] });
});

const refusals: [what: string, options: () => Partial<BrokerOptions>, text: RegExp][] = [
  ["a server that nobody vouches for", () => ({ urls: [url()] }), /TLS: .*certificate.*brokerUseSsl \{ ca_certs/],
  [
    "a server whose certificate is for another host",
    () => ({ urls: [url("127.0.0.2")], useSsl: { ca_certs: certificates.ca } }),
    /TLS: .*altnames/,
  ],
  ["a port without TLS", () => ({ urls: [url("127.0.0.1", server.port)] }), /speaks no TLS: use amqp:\/\//],
  [
    "to speak plainly to a port with TLS",
    () => ({ urls: [url().replace("amqps", "amqp")] }),
    /wants TLS \(amqps:\/\/\)/,
  ],
];

it.each(refusals)("refuses %s, and says what to do", async (_, options, text) => {
  const error: unknown = await connect(options()).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(OperationalError);
  expect((error as Error).message).toMatch(text);
  expect((error as Error).message).not.toMatch(/\n|guest:guest/);
});

it("says which file it cannot read", () => {
  const options = { ...brokerOptions({ urls: () => [url()] }), useSsl: { ca_certs: "/nowhere/ca.pem" } };
  expect(() => new AmqpBroker(options)).toThrow(/TLS file \/nowhere\/ca\.pem/);
});

it("is there again after the connection broke, and consumes again", async () => {
  const proxy = await startProxy(port);
  const tasks = queue(`tls-${randomUUID()}`);
  const broker = await connect({ urls: [url("127.0.0.1", proxy.port)], useSsl: { ca_certs: certificates.ca } });
  const { deliveries } = await consume(broker, [tasks], {}, (delivery) => delivery.ack());
  const states: boolean[] = [];
  broker.onStateChange = (connected) => void states.push(connected);
  proxy.cut();
  await eventually(() => states.includes(false));
  await publishMany(broker, tasks, 3);
  await eventually(() => deliveries.length === 3);
  await broker.deleteQueue(tasks);
  await broker.close();
  await proxy.refuse();
});

it("carries tasks and their results", async () => {
  const app = new Celery("tls", {
    broker: url(),
    backend: "rpc://",
    brokerUseSsl: { ca_certs: certificates.ca },
    taskDefaultQueue: `tls-${randomUUID()}`,
    controlExchange: randomUUID(),
    brokerConnectionRetryOnStartup: false,
  });
  opened.push(app);
  const add = app.task("tasks.add", (x: number, y: number) => x + y);
  await app.worker({ concurrency: 1 }).start();
  expect(await (await add.delay(1, 2)).get({ timeout: 10 })).toBe(3);
});
