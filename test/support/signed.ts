import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { named } from "./vectors.ts";

interface Keys {
  name: string;
  key: string;
  certificate: string;
  password: string | null;
}

/** Keys and certificates in files: those of a fleet, and those of a stranger to it. */
export function signedFiles(): { settings: Record<string, string>; strangerSettings: Record<string, string> } {
  const folder = mkdtempSync(join(tmpdir(), "celeriac-signed-"));
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const own = named<Keys>("signed-messages", "encrypted key");
  const stranger = named<Keys>("signed-messages", "odd issuer");
  for (const store of ["certs", "stranger-certs"]) mkdirSync(join(folder, store));
  write("certs/own.pem", own.certificate);
  write("stranger-certs/own.pem", own.certificate);
  write("stranger-certs/stranger.pem", stranger.certificate);
  return {
    settings: {
      security_key: write("key.pem", own.key),
      security_key_password: own.password ?? "",
      security_certificate: write("certificate.pem", own.certificate),
      security_cert_store: join(folder, "certs"),
    },
    strangerSettings: {
      security_key: write("stranger.pem", stranger.key),
      security_key_password: "",
      security_certificate: write("stranger-certificate.pem", stranger.certificate),
      security_cert_store: join(folder, "stranger-certs", "*.pem"),
    },
  };
}
