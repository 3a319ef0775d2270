import { inject } from "vitest";
import { AmqpBroker } from "../../../src/brokers/amqp/amqp-broker.ts";
import { exerciseBroker } from "../../exercise/broker.ts";

exerciseBroker({
  name: "RabbitMQ",
  make: (options) => new AmqpBroker(options),
  urls: () => [inject("amqpUrl")],
});
