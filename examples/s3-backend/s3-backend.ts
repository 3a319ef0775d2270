import {
  DeleteObjectCommand,
  GetObjectCommand,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { type BackendOptions, KeyValueBackend } from "celeriac";

/**
 * Results in a bucket: `s3://bucket/base/path/`, where Celery's own S3 backend finds them with `s3_bucket` and
 * `s3_base_path`. Objects do not expire by themselves: give the bucket a lifecycle rule.
 *
 *     new Celery("shop", {
 *       backend: "s3://results/",
 *       overrideBackends: { s3: (options) => new S3Backend(options, { region: "eu-central-1" }) },
 *     });
 */
export class S3Backend extends KeyValueBackend {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #basePath: string;

  constructor(options: BackendOptions, config: S3ClientConfig = {}) {
    super(options);
    const { hostname, pathname } = new URL(options.url);
    this.#bucket = hostname;
    this.#basePath = pathname.slice(1);
    this.#client = new S3Client(config);
  }

  protected async get(key: string): Promise<Uint8Array | undefined> {
    try {
      const { Body } = await this.#client.send(new GetObjectCommand(this.#object(key)));
      return await Body?.transformToByteArray();
    } catch (error) {
      if (error instanceof NoSuchKey) return undefined;
      throw error;
    }
  }

  protected async set(key: string, value: Uint8Array): Promise<void> {
    await this.#client.send(new PutObjectCommand({ ...this.#object(key), Body: value }));
  }

  protected async delete(key: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand(this.#object(key)));
  }

  protected override async onClose(): Promise<void> {
    this.#client.destroy();
  }

  #object(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#basePath + key };
  }
}
