/** A VRM avatar in a canvas, drawn with three.js and moved as the drawn presenters are. It needs no framework. */
import { type VRM, VRMLoaderPlugin, VRMUtils } from "@pixiv/three-vrm";
import {
  Box3,
  CanvasTexture,
  DirectionalLight,
  HemisphereLight,
  PerspectiveCamera,
  Scene,
  SRGBColorSpace,
  Texture,
  Vector3,
  WebGLRenderer,
} from "three";
import { type GLTF, GLTFLoader, type GLTFParser } from "three/examples/jsm/loaders/GLTFLoader.js";
import { type FaceSource, MovingFace } from "./face";
import { drawWall } from "./figure";
import { type Context, clamp, smoothstep } from "./geometry";
import type { Mood } from "./motion";
import { type Channels, rest } from "./pose";

const DEG = Math.PI / 180;
const FIELD_OF_VIEW_DEG = 18;
/** Heights of the picture and of the air above, in heights of the head from its joint to the top. */
const PICTURE_HEADS = 2.15;
const AIR_HEADS = 0.26;
/** The top may be that of a hat or of ears: no more than this over the joint, in heights of the eyes over it. */
const MAX_TOP_EYES = 3.2;
const ARM_DEG = 72;
const DEGREES_PER_GAZE = 9.9;
/** The opening of the lips by each channel, and at its widest, as in mouthCurves.ts. */
const [JAW, LOW, RAISE, WIDEST] = [0.2, 0.14, 0.055, 0.2318];
const MOUTH = ["aa", "ih", "ou", "ee", "oh"] as const;
const EMOTIONS: Partial<Record<Mood, [name: string, weight: number]>> = {
  warm: ["relaxed", 0.4],
  excited: ["happy", 0.45],
  sad: ["sad", 0.6],
  surprised: ["surprised", 0.5],
};
const EMOTION_S = 0.35;
const BACKDROP = {
  wall: [
    ["#8ea3ad", 0],
    ["#647d8c", 0.5],
    ["#3f5666", 1],
  ] as [string, number][],
  glow: "#fff2dc",
};

export class AvatarView extends MovingFace {
  private readonly scene = new Scene();
  private readonly camera = new PerspectiveCamera(FIELD_OF_VIEW_DEG, 1, 0.05, 50);
  private readonly wall = document.createElement("canvas").getContext("2d") as Context;
  private readonly emotions = new Map<string, number>();
  private readonly view: { centre: Vector3; height: number };
  /** VRM 0.x looks the other way: sideways axes are turned round. */
  private readonly side: number;

  private constructor(
    canvas: HTMLCanvasElement,
    private readonly vrm: VRM,
    private readonly renderer: WebGLRenderer,
    source: FaceSource,
  ) {
    super(canvas, source);
    this.side = vrm.meta.metaVersion === "0" ? -1 : 1;
    VRMUtils.rotateVRM0(vrm);
    VRMUtils.removeUnnecessaryVertices(vrm.scene);
    VRMUtils.combineSkeletons(vrm.scene);
    vrm.scene.traverse((one) => {
      one.frustumCulled = false;
    });
    // Whatever the face shows, its lips follow the sound.
    for (const one of vrm.expressionManager?.expressions ?? []) one.overrideMouth = "none";
    const key = new DirectionalLight("#fff4e6", 0.8 * Math.PI);
    key.position.set(-0.7, 0.8, 1.6);
    this.scene.add(vrm.scene, key, new HemisphereLight("#ffffff", "#b4aca6", 0.45 * Math.PI));
    this.pose("leftUpperArm", 0, 0, -ARM_DEG);
    this.pose("rightUpperArm", 0, 0, ARM_DEG);
    vrm.update(0);
    vrm.scene.updateMatrixWorld(true);
    vrm.springBoneManager?.reset();
    this.view = framing(vrm);
  }

  /** Loads an avatar. Throws where the browser has no WebGL, or the file is none: the still picture stays to be seen. */
  static async open(canvas: HTMLCanvasElement, address: string, source: FaceSource): Promise<AvatarView> {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
    return AvatarView.read(canvas, await answer.arrayBuffer(), source);
  }

  static async read(canvas: HTMLCanvasElement, file: ArrayBuffer, source: FaceSource): Promise<AvatarView> {
    const renderer = new WebGLRenderer({ canvas, antialias: true });
    try {
      const loader = new GLTFLoader();
      loader.register((parser) => ownImages(parser));
      loader.register((parser) => new VRMLoaderPlugin(parser));
      const gltf: GLTF = await loader.parseAsync(file, "");
      const vrm = gltf.userData.vrm as VRM | undefined;
      if (!vrm) throw new Error("no avatar");
      return new AvatarView(canvas, vrm, renderer, source);
    } catch (error) {
      renderer.dispose();
      throw error;
    }
  }

  /** A picture of the face at rest; null where the browser makes none. */
  picture(side: number): Promise<Blob | null> {
    this.draw(rest(), 0, side, side);
    return new Promise((resolve) => this.canvas.toBlob(resolve, "image/png"));
  }

  override close(): void {
    super.close();
    VRMUtils.deepDispose(this.vrm.scene);
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }

  protected draw(channels: Channels, dt: number, width: number, height: number): void {
    this.move(channels);
    this.express(channels, dt);
    this.vrm.update(dt);
    if (this.canvas.width !== width || this.canvas.height !== height) this.resize(width, height);
    this.renderer.render(this.scene, this.camera);
  }

  /** Head, chest and eyes, with the signs of pose.ts; each share of a turn is that joint's. */
  private move(channels: Channels): void {
    const { yaw_deg, pitch_deg, roll_deg, sway, breath } = channels;
    this.pose("head", 0.6 * pitch_deg, 0.6 * yaw_deg, -0.6 * roll_deg);
    this.pose("neck", 0.4 * pitch_deg, 0.4 * yaw_deg, -0.4 * roll_deg);
    this.pose("spine", 0, 0.25 * yaw_deg, -sway - 0.1 * roll_deg);
    this.pose("chest", -1.1 * breath, 0.15 * yaw_deg, 0);
    for (const [side, sign] of [
      ["left", 1],
      ["right", -1],
    ] as const)
      this.pose(`${side}UpperArm`, 0, 0, sign * (0.8 * breath - ARM_DEG));
    const { lookAt } = this.vrm;
    if (!lookAt) return;
    lookAt.yaw = DEGREES_PER_GAZE * channels.gaze_x;
    lookAt.pitch = DEGREES_PER_GAZE * channels.gaze_y;
  }

  private pose(bone: Parameters<VRM["humanoid"]["getNormalizedBoneNode"]>[0], x: number, y: number, z: number): void {
    this.vrm.humanoid.getNormalizedBoneNode(bone)?.rotation.set(this.side * x * DEG, y * DEG, this.side * z * DEG);
  }

  private express(channels: Channels, dt: number): void {
    const faces = this.vrm.expressionManager;
    if (!faces) return;
    const weights = vowels(channels);
    const has = (name: string) => (faces.getExpression(name)?.binds.length ?? 0) > 0;
    // Who has fewer shapes opens the mouth with the one there is.
    const missing = MOUTH.filter((name) => !has(name)).reduce((sum, name) => sum + weights[name], 0);
    for (const name of MOUTH) faces.setValue(name, weights[name]);
    if (missing > 0 && has("aa")) faces.setValue("aa", clamp(weights.aa + 0.6 * missing, 0, 1));
    if (!has("aa")) this.pose("jaw", 14 * opening(channels), 0, 0);
    if (has("blink")) faces.setValue("blink", channels.blink);
    else for (const name of ["blinkLeft", "blinkRight"]) faces.setValue(name, channels.blink);
    const [shown, weight] = EMOTIONS[this.mood as Mood] ?? ["", 0];
    for (const [name] of Object.values(EMOTIONS)) {
      const before = this.emotions.get(name) ?? 0;
      const target = name === shown ? weight : 0;
      const now = before + (target - before) * Math.min(1, dt / EMOTION_S);
      this.emotions.set(name, now);
      faces.setValue(name, now < 0.005 ? 0 : now);
    }
  }

  private resize(width: number, height: number): void {
    this.renderer.setSize(width, height, false);
    const { centre } = this.view;
    // A picture that is higher than wide still holds the shoulders.
    const tall = this.view.height * Math.max(1, (0.8 * height) / width);
    this.camera.aspect = width / height;
    this.camera.position.set(centre.x, centre.y, centre.z + tall / 2 / Math.tan((FIELD_OF_VIEW_DEG / 2) * DEG));
    this.camera.updateProjectionMatrix();
    [this.wall.canvas.width, this.wall.canvas.height] = [width, height];
    drawWall(this.wall, { backdrop: BACKDROP }, width, height);
    if (this.scene.background instanceof Texture) this.scene.background.dispose();
    this.scene.background = Object.assign(new CanvasTexture(this.wall.canvas), { colorSpace: SRGBColorSpace });
  }
}

/** Weights of the five mouth shapes of VRM, of the channels of a mouth. */
export function vowels(channels: Channels): Record<(typeof MOUTH)[number], number> {
  const open = opening(channels);
  const round = smoothstep(0.1, 0.6, -channels.wide);
  const spread = smoothstep(0.1, 0.6, channels.wide);
  // Lips that touch do so in every shape.
  const parted = smoothstep(0, 0.15, open);
  const far = smoothstep(0.3, 0.7, open);
  return {
    aa: open * (1 - round) * (1 - spread),
    ih: 0.8 * spread * parted * (1 - far),
    ou: round * parted * (1 - far),
    ee: 0.8 * spread * far,
    oh: 0.8 * round * far,
  };
}

const opening = ({ jaw, low, raise, press }: Channels): number =>
  clamp(((JAW * jaw + LOW * low + RAISE * raise) * (1 - press)) / WIDEST, 0, 1);

/** Where the camera looks, and how high the picture is: head and shoulders. */
function framing(vrm: VRM): { centre: Vector3; height: number } {
  const place = (bone: "head" | "leftEye") => vrm.humanoid.getRawBoneNode(bone)?.getWorldPosition(new Vector3());
  const head = place("head") ?? new Vector3(0, 1.4, 0);
  const eyes = place("leftEye");
  const top = new Box3().setFromObject(vrm.scene).max.y;
  const most = eyes && eyes.y > head.y ? MAX_TOP_EYES * (eyes.y - head.y) : head.y;
  const size = clamp(top - head.y, 0.05, Math.max(0.05, most));
  const height = PICTURE_HEADS * size;
  return { centre: new Vector3(head.x, head.y + (1 + AIR_HEADS) * size - height / 2, head.z), height };
}

/** Decodes pictures without an address of their own: content policies allow no requests to such. */
function ownImages(parser: GLTFParser) {
  const known = new Map<number, Promise<Texture>>();
  const read = async (index: number): Promise<Texture> => {
    const { bufferView, mimeType } = parser.json.images[index] as { bufferView?: number; mimeType?: string };
    if (bufferView === undefined) throw new Error("a picture that is not in the file");
    const bytes = (await parser.getDependency("bufferView", bufferView)) as ArrayBuffer;
    const options = { premultiplyAlpha: "none", colorSpaceConversion: "none" } as const;
    const texture = new Texture(await createImageBitmap(new Blob([bytes], { type: mimeType ?? "" }), options));
    texture.needsUpdate = true;
    return Object.assign(texture, { userData: { mimeType } });
  };
  parser.loadImageSource = async (index) => {
    const first = known.get(index);
    if (first) return (await first).clone();
    known.set(index, read(index));
    return known.get(index) as Promise<Texture>;
  };
  return { name: "own-images" };
}
