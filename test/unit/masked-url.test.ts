import { expect, it } from "vitest";
import { maskedUrl } from "../../src/masked-url.ts";

it.each([
  ["redis://localhost:6379/0", "redis://localhost:6379/0"],
  ["redis://:secret@localhost/0", "redis://:**@localhost/0"],
  ["amqps://shop:secret@[::1]:5671//", "amqps://shop:**@[::1]:5671//"],
  ["redis://shop@localhost/0", "redis://shop@localhost/0"],
  [
    "redis+socket:///run/redis.sock?virtual_host=1&password=secret",
    "redis+socket:///run/redis.sock?virtual_host=1&password=**",
  ],
  ["rediss://host/0?ssl_keyfile_password=secret&db=1", "rediss://host/0?ssl_keyfile_password=**&db=1"],
  ["sentinel://:secret@one;sentinel://:secret@two:26379/0", "sentinel://:**@one;sentinel://:**@two:26379/0"],
  // Signs that should have been percent-encoded.
  ["redis://:se@cret@localhost/0", "redis://:**@localhost/0"],
  ["redis://:se/cret@localhost/0", "redis://:**@localhost/0"],
  ["amqp://shop:s?e#c:r@e/t@localhost//", "amqp://shop:**@localhost//"],
  // No URL at all.
  ["shop:secret@localhost/0", "**@localhost/0"],
  ["redis:/:secret@localhost", "**@localhost"],
  ["filesystem://", "filesystem://"],
  ["disabled", "disabled"],
])("%s is shown as %s", (url, shown) => {
  expect(maskedUrl(url)).toBe(shown);
});
