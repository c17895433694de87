// The camera of this device.

import { Problem } from "./problems.js";

const KINDS = {
  NotAllowedError: "camera-refused",
  SecurityError: "camera-refused",
  NotFoundError: "camera-missing",
  OverconstrainedError: "camera-missing",
};

// Returns a stream; id: of a device, "" takes the one that faces the visitor.
export async function openCamera(id, gone) {
  if (!navigator.mediaDevices?.getUserMedia) throw new Problem("camera-insecure");
  const device = id ? { deviceId: { exact: id } } : { facingMode: "user" };
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { ...device, width: { ideal: 1280 } } });
  } catch (error) {
    throw new Problem(KINDS[error.name] ?? "camera-busy");
  }
  stream.getVideoTracks()[0].addEventListener("ended", gone);
  return stream;
}

export function closeCamera(stream) {
  stream.getTracks().forEach(track => track.stop());
}

// Names are there once a camera was allowed.
export async function listCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(device => device.kind === "videoinput");
}
