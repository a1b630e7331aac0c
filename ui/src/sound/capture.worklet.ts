/** Resamples the microphone to 16 kHz and posts frames of 20 ms as 16-bit PCM. Runs on the audio thread. */
declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: typeof AudioWorkletProcessor): void;

const OUTPUT_HZ = 16_000;
const FRAME = 320;
/** Positions between two samples for which the filter is computed. */
const PHASES = 160;
const LOBES = 8;

/** A low-pass filter (windowed sinc, Hann) at each phase; `half` samples to both sides. */
function filters(ratio: number): { half: number; taps: Float32Array[] } {
  const cutoff = 0.94 / Math.max(1, ratio);
  const half = Math.ceil(LOBES / cutoff);
  const taps = Array.from({ length: PHASES + 1 }, (_, phase) => {
    const kernel = new Float32Array(2 * half);
    for (let tap = 0; tap < kernel.length; tap++) {
      const x = tap - half + 1 - phase / PHASES;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
      kernel[tap] = cutoff * sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / (half + 1)));
    }
    return kernel;
  });
  return { half, taps };
}

class Capture extends AudioWorkletProcessor {
  private readonly ratio = sampleRate / OUTPUT_HZ;
  private readonly filter = filters(this.ratio);
  private input = new Float32Array(2 * this.filter.half);
  private position = 0;
  private frame = new Int16Array(FRAME);
  private filled = 0;

  process(inputs: Float32Array[][]): boolean {
    const block = inputs[0]?.[0];
    if (!block) return true;
    const { half, taps } = this.filter;
    const joined = new Float32Array(this.input.length + block.length);
    joined.set(this.input);
    joined.set(block, this.input.length);
    for (; this.position + 2 * half <= joined.length; this.position += this.ratio) {
      const whole = Math.floor(this.position);
      const kernel = taps[Math.round((this.position - whole) * PHASES)] as Float32Array;
      let sum = 0;
      for (let tap = 0; tap < kernel.length; tap++) sum += (kernel[tap] as number) * (joined[whole + tap] ?? 0);
      this.push(sum);
    }
    const used = Math.floor(this.position);
    this.input = joined.slice(used);
    this.position -= used;
    return true;
  }

  private push(sample: number): void {
    this.frame[this.filled++] = Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
    if (this.filled < FRAME) return;
    this.port.postMessage(this.frame.buffer, [this.frame.buffer]);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
  }
}

registerProcessor("capture", Capture);
